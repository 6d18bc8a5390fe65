#!/usr/bin/env perl
#
# page.pl
#		Puts the figures that are in build/ into the tables of docs/performance.md: those of
#		bench.sh, of instructions.sh and of growth.sh, each if it has been run.
#
# usage: perl test/bench/page.pl && perl test/bench/bars.pl >docs/img/bench.svg && cp build/bench.svg docs/
#
# A table is known by its first column's head.  What the page says around them is written by hand:
# read it again afterwards.  After some parts of bench.sh only, its tables would have only those.
#
use strict;
use warnings FATAL => 'all';
use utf8;
use open ':std', ':encoding(UTF-8)';

my $page = 'docs/performance.md';

# The rows of build/NAME.csv as hashes; none if there is no such file.
sub rows
{
	my ($name) = @_;
	my (@rows, @names);

	open my $file, '<', "build/$name.csv" or return;
	while (my $line = <$file>)
	{
		chomp $line;
		my @fields;
		while ($line =~ /\G(?:"((?:[^"]|"")*)"|([^,]*))(,|$)/g)
		{
			push @fields, defined $1 ? $1 =~ s/""/"/gr : $2;
			last if $3 eq '';
		}
		if (@names)
		{
			my %row;
			@row{@names} = @fields;
			push @rows, \%row;
		}
		else
		{
			@names = @fields;
		}
	}
	return @rows;
}

# Three digits that count.
sub three
{
	my ($number) = @_;

	return sprintf('%.0f', $number) if $number >= 100;
	return sprintf('%.1f', $number) if $number >= 10;
	return sprintf('%.2f', $number) if $number >= 1;
	return sprintf('%.3f', $number);
}

sub range
{
	my ($median, $min, $max) = @_;

	return sprintf '%s (%s–%s)', three($median), three($min), three($max);
}

sub ratios
{
	my ($of_peers) = @_;

	return map {
		my $ratio = join ' / ', map { "`$_`" } split m{ / }, $_->{ratio};
		my $target = $_->{target} =~ s/<=/≤/r =~ s/>=/≥/r;
		join ' | ', $_->{work} =~ s/(\d{4,})/with_commas($1)/er, $ratio, $_->{measured}, $target,
		  range(@$_{qw(variant_median variant_min variant_max)}), range(@$_{qw(baseline_median baseline_min baseline_max)})
	} grep { ($_->{peers} eq 't') == $of_peers } rows('ratios');
}

sub with_commas
{
	my ($number) = @_;

	1 while $number =~ s/^(\d+)(\d{3})/$1,$2/;
	return $number;
}

# One row a curve, one column a power of ten.
sub curves
{
	my (%us, @curves);

	for (rows('growth'))
	{
		my $curve = "$_->{curve} | $_->{thing}";
		push @curves, $curve unless $us{$curve};
		$us{$curve}{ $_->{n} } = three($_->{us});
	}
	return map { my $curve = $_; join ' | ', $curve, map { $us{$curve}{ 10**$_ } // '' } 0 .. 7 } @curves;
}

# By the head of the first column.
my %tables = (
	'Work' => [ratios(0)],
	'Beside peers' => [ratios(1)],
	'Stage' => [map { join ' | ', $_->{stage} =~ s/^(EVP_DigestVerify)$/for comparison: a bare `$1`/r, range(@$_{qw(us min max)}) } rows('stages')],
	'Memory' => [map { join ' | ', $_->{what} =~ s/(\d{4,})/with_commas($1)/er, $_->{kb}, $_->{target} } rows('memory')],
	'A row' => [map { join ' | ', "`$_->{function}`", $_->{more}, $_->{literal}, $_->{ratio} } rows('instructions')],
	'How many' => [curves()]);

my @text;
my $table;
open my $in, '<', $page or die "$page: $!";
while (my $line = <$in>)
{
	if ($line !~ /^\|/)
	{
		undef $table;
	}
	elsif (!$table && $line =~ /^\| ([^|]+?) \|/)
	{
		$table = { rows => $tables{$1} // [], line => 0 };
	}
	if ($table && @{ $table->{rows} })
	{
		# the head and the dashes stay
		next if ++$table->{line} > 3;
		$line = join '', map { s/\s+$//; "| $_ |\n" =~ s/  +/  /gr } @{ $table->{rows} } if $table->{line} == 3;
	}
	for my $versions ($line =~ /^Measured on / ? rows('versions') : ())
	{
		$line = "Measured on $versions->{date}: PostgreSQL $versions->{postgresql}, OpenSSL $versions->{openssl}"
		  . ($versions->{peers} ? ", $versions->{peers}" : '') . "; medians of the ratios of $versions->{runs} runs.\n";
	}
	push @text, $line;
}
close $in;
open my $out, '>', $page or die "$page: $!";
print $out @text;
close $out or die "$page: $!";
