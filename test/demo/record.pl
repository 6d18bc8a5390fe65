#!/usr/bin/env perl
#
# record.pl
#	docs/img/demo.svg: the demo as it ran, as an animated SVG of one terminal.
#
# usage: perl test/demo/record.pl >docs/img/demo.svg
#	     perl test/demo/record.pl --check docs/img/demo.svg
#
# Runs demo.sh and keeps each line with the time at which it came; pauses are those of the run, but
# not shorter than one can read and not longer than one likes to wait.  The picture fills from the
# top, and then scrolls, by steps of CSS, and holds no script; where nothing moves, it shows the end.  --check runs the demo
# and compares the lines.
#
use strict;
use warnings FATAL => 'all';

use File::Basename qw(dirname);
use Time::HiRes qw(time);

my ($columns, $rows, $line_height) = (100, 27, 18);
my ($per_frame, $per_line, $longest, $last) = (0.6, 0.1, 1.2, 6);	# seconds
my ($width, $height) = ($columns * 7.23 + 36, $rows * $line_height + 58);

# Lines of the terminal in frames: [seconds until it comes, line, line ...].
sub record
{
	my ($then, @frames) = (time, [0, '$ make demo']);

	open my $demo, '-|', 'bash', dirname(__FILE__) . '/demo.sh' or die "demo.sh: $!";
	while (my $line = <$demo>)
	{
		my $is_answer = $line =~ /^ / && $line !~ /^  (?:\$|=>) /;
		my $was_answer = @{ $frames[-1] } > 1 && $frames[-1][-1] =~ /^(?: |$)/ && $frames[-1][-1] !~ /^  (?:\$|=>) /;
		my $pause = time - $then;

		chomp $line;
		$line =~ s/\t/    /g;
		$then = time;
		# an answer comes as a whole, and an empty line ends what was before it
		if ($line eq '' || ($is_answer && $was_answer)) { push @{ $frames[-1] }, wrap($line) }
		else { push @frames, [$pause, wrap($line)] }
	}
	close $demo or die 'the demo has failed';
	return @frames;
}

sub wrap
{
	my ($line) = @_;

	return $line eq '' ? '' : $line =~ /(.{1,$columns})/g;
}

sub escape
{
	return $_[0] =~ s/&/&amp;/gr =~ s/</&lt;/gr =~ s/>/&gt;/gr;
}

# What a line is, by how it begins.
sub kind
{
	my ($line, $previous) = @_;

	return $line =~ /^  (?:\$|=>) |^\$ / ? 'c' : $line =~ /^  20[01] / ? 'y' : $line =~ /^  401 / ? 'n'
	  : $line =~ /^»/ ? 's' : $line =~ /^\S/ && $previous eq '' ? 'h' : $line =~ /^  --/ ? 's' : '';
}

sub picture
{
	my @frames = @_;
	my ($lines, $seconds, $to_read, $y, $previous, $texts, @steps) = (0, 0, 0, 0, '', '');

	for my $frame (@frames)
	{
		my ($pause, @text) = @$frame;

		$seconds += $pause < $to_read ? $to_read : $pause > $longest ? $longest : $pause if $lines;
		$to_read = $per_frame + $per_line * @text;
		for my $text (@text)
		{
			my $kind = kind($text, $previous);

			# a wrapped line goes on as it began
			$kind = $1 if $text !~ /^[ »\$]/ && $previous ne '' && length $previous == $columns && $texts =~ /class="(\w)"[^\n]*\n\z/;
			$texts .= sprintf(qq{<text%s y="%d">%s</text>\n}, $kind && qq{ class="$kind"}, $y, escape($text)) if $text ne '';
			$y += $line_height;
			$previous = $text;
		}
		$lines += @text;
		push @steps, [$seconds, $lines];
	}
	$seconds = sprintf '%.1f', $seconds + $last;
	# what is to come lies below a cover, until the terminal is full
	my $moved = sub { sprintf 'transform:translateY(%dpx)', $_[0] * $line_height };
	my $scrolled = sub { $moved->($_[0] > $rows ? $rows - $_[0] : 0) };
	my $covered = sub { $moved->($_[0] > $rows ? $rows : $_[0]) };
	my $keyframes = sub {
		my ($at, $last) = (@_, '');

		return join '', map { $at->($_->[1]) eq $last ? '' : sprintf "%.2f%%{%s}\n", $_->[0] / $seconds * 100, $last = $at->($_->[1]) } @steps;
	};
	my $title = 'Recording of make demo: two users of one Clerk instance, and some impostors, at one table through PostgREST';
	my ($end, $full) = ($scrolled->($lines), $covered->($lines));
	return <<"END";
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $width $height" role="img" aria-label="$title">
<title>$title</title>
<style>
text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#c9d1d9;white-space:pre}
.c{fill:#fff;font-weight:600}.y{fill:#7ee787}.n{fill:#ff9a8b}.s{fill:#8b98a5}.h{fill:#79c0ff;font-weight:700}
\@keyframes s{
@{[$keyframes->($scrolled)]}100%{$end}
}
\@keyframes r{
@{[$keyframes->($covered)]}100%{$full}
}
.t{$end;animation:s ${seconds}s step-end infinite}
.r{$full;fill:#0d1117;animation:r ${seconds}s step-end infinite}
\@media (prefers-reduced-motion:reduce){.t,.r{animation:none}}
</style>
<rect x=".5" y=".5" width="@{[$width - 1]}" height="@{[$height - 1]}" rx="10" fill="#0d1117" stroke="#3d444d"/>
<g fill="#3d444d"><circle cx="20" cy="18" r="5"/><circle cx="38" cy="18" r="5"/><circle cx="56" cy="18" r="5"/></g>
<svg x="18" y="38" width="@{[$width - 36]}" height="@{[$rows * $line_height]}"><g class="t"><g transform="translate(0 12)" xml:space="preserve">
$texts</g></g><rect class="r" width="100%" height="100%"/></svg>
</svg>
END
}

# The lines of the story; what comes before it names versions and paths.
sub story
{
	my @lines = map { s/&lt;/</gr } map { s/&gt;/>/gr } map { s/&amp;/&/gr } @_;

	shift @lines while @lines && $lines[0] !~ /^The database/;
	return join "\n", grep { $_ ne '' } @lines;
}

my @frames = record();
if (@ARGV == 2 && $ARGV[0] eq '--check')
{
	open my $file, '<', $ARGV[1] or die "$ARGV[1]: $!";
	my $shown = story(do { local $/; <$file> } =~ /^<text[^>]*>(.*)<\/text>$/mg);
	my $ran = story(map { escape($_) } map { @$_[1 .. $#$_] } @frames);

	print $shown eq $ran ? 'ok' : 'not ok', " - $ARGV[1] shows what the demo says\n";
	exit($shown ne $ran);
}
print picture(@frames);
