# 010_documents.pl
#	That the documents are whole: reference, reasons, links, and what PGXN wants to know.
#	What they quote of examples is what test/examples/run.sh runs; the other blocks are run by
#	test/journeys.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::Bin/../..";
my $node = start_node('documents');

# the reference is what the catalog says
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
my $reference = $node->safe_psql('fresh', slurp_file("$root/test/tools/reference.sql"));
is("$reference\n", slurp_file("$root/docs/reference.md"), 'docs/reference.md is up to date')
  or diag('make it again with test/tools/reference.sql');

# each reason that a token or a webhook can be refused for is explained
my %codes = map { $_ => 1 } slurp_file("$root/src/core/status.c") =~ /"((?:token|session|user|identity|webhook|jwk|table|cookie|no)-[a-z-]+)[":]/g;
delete $codes{'jwk-invalid'};
my ($reasons) = slurp_file("$root/docs/troubleshooting.md") =~ /^## Reasons\n(.*)/ms;
my %explained = map { $_ => 1 } map { /`([a-z-]+)`/g } $reasons =~ /^\| (`.*?) \|/mg;
is_deeply(\%explained, \%codes, 'docs/troubleshooting.md explains every reason');

# what PGXN wants to know (PGXN Meta Spec 1.0.0): the required members, and what must be true of them
my $meta = JSON::PP->new->decode(slurp_file("$root/META.json"));
my ($version) = slurp_file("$root/clerk_rls.control") =~ /^default_version = '(.*)'/m;
my @missing = grep { !defined $meta->{$_} } qw(name version abstract maintainer license provides meta-spec);
is_deeply(\@missing, [], 'META.json has what PGXN requires');
is("$meta->{version} $meta->{provides}{clerk_rls}{version} $meta->{'meta-spec'}{version} $meta->{license} $meta->{release_status}",
	"$version $version 1.0.0 postgresql stable", 'META.json: versions, license and status');
ok(-e "$root/$_", "META.json: there is $_") for map { ($_->{file}, $_->{docfile}) } values %{ $meta->{provides} };
like($version, qr/^\d+\.\d+\.\d+$/, 'the version is a semantic one');

# what other packagers take
like(slurp_file("$root/packaging/clerk_rls.spec"), qr/^Version: \Q$version\E$/m, 'the RPM package has the version');
like(slurp_file("$root/clients/js/package.json"), qr/^\t"version": "\Q$version\E",$/m, 'and so does that of npm');
my @pigsty = split /\n/, slurp_file("$root/packaging/pigsty.csv");
my @commas = map { tr/,// } map { s/"[^"]*"//gr } @pigsty;
is_deeply([scalar @pigsty, $commas[0] - $commas[1], scalar(() = $pigsty[1] =~ /\b\Q$version\E\b/g)], [2, 0, 4], "the entry for Pigsty's list has all columns, and the version");

# links lead somewhere
sub anchors
{
	my ($file) = @_;

	return map { s/[^\w\s-]//gr =~ s/ /-/gr } map { lc } slurp_file($file) =~ /^#+ (.*)$/mg;
}
my @broken;
for my $file (glob("$root/README.md $root/docs/*.md"))
{
	my ($dir) = $file =~ m{(.*)/};
	for my $link (slurp_file($file) =~ /\]\((?!https?:)([^)]+)\)/g)
	{
		my ($path, $anchor) = $link =~ /^([^#]*)#?(.*)$/;
		my $target = $path eq '' ? $file : "$dir/$path";

		push @broken, "$file: $link"
		  unless -e $target && ($anchor eq '' || grep { $_ eq $anchor } anchors($target));
	}
}
is_deeply(\@broken, [], 'no link is broken');

# what documents quote is in the files that run, and each example is quoted
my %quoted;
for my $document (glob("$root/docs/*.md"))
{
	my ($name) = $document =~ m{([^/]*)$};
	my $text = slurp_file($document);

	while ($text =~ /\bfrom\s+\[`[^`]*`\]\(\.\.\/([^)]*)\)[^`]*?:\n\n```[a-z]+\n(.*?)^```/msgi)
	{
		my ($file, $quote) = ($1, $2);

		ok(index(slurp_file("$root/$file"), $quote) >= 0, "docs/$name quotes $file");
		$quoted{ (split m{/}, $file =~ s{^test/}{}r)[1] } = 1;
	}
}
my @examples = map { (split m{/})[-2] } glob "$root/test/examples/*/{test.mjs,test.py,*_test.go}";
ok($quoted{$_}, "a document quotes the example $_") for @examples;

done_testing();
