# plot.gp: the picture of the report, out of lines of work, (nothing), measured, target.
# gnuplot -e "data='ratios.csv'; picture='bench.svg'" plot.gp

set terminal svg size 1040,640 font 'sans-serif,12' background 'white' noenhanced
set output picture
set datafile separator ','
set title 'clerk_rls beside its alternatives: ratio of the medians (bar) and its target (dot)' offset -22,0
set yrange [*:*] reverse
set xrange [0:1.8]
set grid xtics
set arrow from 1, graph 0 to 1, graph 1 nohead dashtype 2 linecolor 'grey40'
set style fill solid 0.8 noborder
set key off
set lmargin 76
plot data using (0.5*$3):0:(0.5*$3):(0.3):ytic(1) with boxxyerror linecolor '#9d87ff', \
	data using ($3+0.04):0:(sprintf('%.2f', $3)) with labels left font ',11', \
	data using 4:0 with points pointtype 7 pointsize 0.6 linecolor '#d03050'
