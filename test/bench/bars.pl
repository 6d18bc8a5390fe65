#!/usr/bin/env perl
#
# bars.pl
#	docs/img/bench.svg: the few figures of docs/performance.md that a newcomer asks for, as bars.
#
# usage: perl test/bench/bars.pl >docs/img/bench.svg
#
use strict;
use warnings FATAL => 'all';

use File::Basename qw(dirname);

# Work, ratio of, measured, target, ms, beside: the medians are the figures.  A peer was measured in
# rounds of its own, so its ratio counts.
my %ms;
open my $page, '<', dirname(__FILE__) . '/../../docs/performance.md' or die "performance.md: $!";
while (<$page>)
{
	my ($work, $variant, $other, $ratio, $first, $second) =
	  m{^\| ((?:filter )?1,000,000 rows)(?:, not wrapped|, asked per row)? \| `(.*?)` / `(.*?)` \| ([\d.]+) \|[^|]*\| ([\d.]+) \([^|]* \| ([\d.]+) \(}
	  or next;
	if ($work =~ /^filter/)
	{
		$ms{$variant} //= $first;
		$ms{$other} //= $second;
	}
	elsif (/, asked per row/)
	{
		$ms{$variant} = sprintf '%.0f', $ratio * $ms{$other};
	}
}

my @bars = (
	['a constant: what nothing can beat', 'user_id = \'user_2abc…\'', 'literal', 'plain'],
	['clerk_rls', 'user_id = clerk.uid()', 'clerk.uid()', 'ours'],
	['the claims of the request, once', 'user_id = (select auth.jwt()->>\'sub\')', '(select auth.jwt()->>\'sub\')', 'plain'],
	['Neon\'s pg_session_jwt, for each row', 'user_id = auth.user_id()', 'pg_session_jwt', 'plain'],
	['the helper of Clerk\'s old guide, for each row', 'user_id = requesting_user_id()', 'requesting_user_id()', 'plain'],
	['the claims of the request, for each row', 'user_id = auth.jwt()->>\'sub\'', 'auth.jwt()->>\'sub\'', 'plain']);
my ($left, $right, $longest) = (16, 844, 0);
for (@bars)
{
	die "docs/performance.md has no figure for $_->[2]" unless defined $ms{ $_->[2] };
	$longest = $ms{ $_->[2] } if $ms{ $_->[2] } > $longest;
}

my ($bars, $said, $y) = ('', '', 66);
for (@bars)
{
	my ($who, $policy, $name, $class) = @$_;
	my $width = sprintf '%.1f', $ms{$name} / $longest * ($right - $left - 90);

	$bars .= sprintf qq{<text x="%d" y="%d"><tspan class="c">%s</tspan><tspan class="s" dx="10">%s</tspan></text>\n}
	  . qq{<rect class="%s" x="%d" y="%d" width="%s" height="16" rx="3"/><text class="v" x="%s" y="%d">%s ms</text>\n},
	  $left, $y, $policy =~ s/>/&gt;/gr, $who, $class, $left, $y + 8, $width, $left + $width + 8, $y + 21, $ms{$name};
	$said .= "$who: $ms{$name} ms. ";
	$y += 54;
}
my $title = 'One policy, 1,000,000 rows, milliseconds: less is better';
print <<"END";
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 @{[$y - 14]}" role="img" aria-labelledby="title desc">
<title id="title">$title</title>
<desc id="desc">$said</desc>
<style>
svg { color-scheme: light dark; --page: #fff; --ink: #1b1f24; --soft: #545c66; --ours: #3d3dc4; --plain: #9aa2ad }
\@media (prefers-color-scheme: dark) { svg { --page: #14161a; --ink: #e8eaed; --soft: #a7afba; --ours: #aab0ff; --plain: #5d6673 } }
text { font: 14px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: var(--ink) }
.c { font: 13px ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace } .s { font-size: 12px; fill: var(--soft) }
.t { font-weight: 600; font-size: 16px } .v { font-weight: 600 } .ours { fill: var(--ours) } .plain { fill: var(--plain) }
</style>
<rect width="860" height="@{[$y - 14]}" rx="12" style="fill: var(--page)"/>
<text class="t" x="$left" y="28">$title</text>
$bars</svg>
END
