# plot.gp: the picture of the report, out of ratios.csv (work, ratio, measured, least, most).
# gnuplot -e "data='ratios.csv'; picture='bench.svg'" plot.gp

set terminal svg size 900,620 font 'sans-serif,12' background 'white'
set output picture
set datafile separator ','
set title 'clerk rls beside its alternatives: the ratio of the medians, and its target' noenhanced
set yrange [*:*] reverse
set xrange [0:1.6]
set xlabel 'ratio of times (1 = no difference)'
set grid xtics
set arrow from 1, graph 0 to 1, graph 1 nohead dashtype 2 linecolor 'grey40'
set boxwidth 0.6
set style fill solid 0.8 noborder
set key off
set lmargin 62
plot data using (0.5*$3):0:(0.5*$3):(0.3):ytic(1) with boxxyerror linecolor '#6c47ff', \
	data using 3:0:(sprintf(' %.2f', $3)) with labels left font ',11', \
	data using 4:0 with points pointtype 7 pointsize 0.5 linecolor '#d03050'
