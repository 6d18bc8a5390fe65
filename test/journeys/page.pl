#
# page.pl
#		One page of the documents, from top to bottom: what its blocks say is typed into psql and a
#		shell, PostgREST is started with its configuration, and what it shows must come out.
#
# usage: page.pl PAGE		(prints TAP);	page.pl		(prints the pages, each with the one it follows)
#
# Run by run.sh.  How a block is taken goes by its language, and nothing but the examples' values
# (pages.pl) is put in place of others:
#	sql		into one psql for the whole page, as superuser.  A line with "-- fails: X" must raise an
#			error with X in it, and nothing else may raise one.
#	sh		into one shell for the whole page, in a checkout.  No command may fail.
#	ini		PostgREST is started with it; if its first comment says postgresql.conf, that file gets it
#			added, and the server is restarted
#	js		into Node.js, within the program that pages.pl has around it
#	yaml	each "query:" in it is SQL that the role exporter may run
#	none, text, json	what the block before it prints, if no title is between.  Spaces, lines of -+- and
#			"(1 row)" do not matter, "…" stands for anything.
#
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use File::Glob qw(:bsd_glob);
use IPC::Run qw(start timeout);
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Test::More;

my %pages = %{ require 'pages.pl' };
my $top = "$FindBin::Bin/../..";
my $dir = $ENV{JOURNEY_DIR};

sub slurp
{
	my ($file) = @_;

	open(my $handle, '<:raw', $file) or die "$file: $!\n";
	local $/;
	return <$handle>;
}

sub spew
{
	my ($file, $text, $mode) = @_;

	open(my $handle, $mode // '>', $file) or die "$file: $!\n";
	print $handle $text;
	close $handle or die "$file: $!\n";
}

# All pages, each behind the one whose state it begins with.
sub sorted_pages
{
	my (%done, @sorted);
	my @left = grep { blocks(slurp("$top/$_")) } 'README.md', map { s{^\Q$top/\E}{}r } glob("$top/docs/*.md");

	while (@left)
	{
		my ($next) = grep { my $from = follows($left[$_]); $from eq '' || $done{$from} } 0 .. $#left;

		push @sorted, splice @left, $next // die("pages.pl: @left follow each other\n"), 1;
		$done{ $sorted[-1] } = 1;
	}
	return @sorted;
}

sub follows
{
	my ($page) = @_;

	return $pages{$page}{follows} // ($page eq 'README.md' ? '' : 'README.md');
}

if (!@ARGV)
{
	print map { "$_ " . follows($_) . "\n" } sorted_pages();
	exit 0;
}

my ($page) = @ARGV;
my %plan = (replace => {}, skip => {}, begin => [], expect => [], js => 'BLOCK', %{ $pages{$page} // {} });
my ($output, $section, $api);

# a token as Clerk makes them for this page's reader
sub token
{
	my ($claims) = @_;
	my $payload = encode_json({ iss => 'https://clerk.example.com', sub => 'user_2abc', sid => 'sess_2abc',
		azp => 'https://app.example.com', v => 2, sts => 'active', fva => [ 1, -1 ],
		iat => time, nbf => time - 10, exp => time + 600, %$claims });

	open(my $pipe, '-|', $ENV{JOURNEY_MINT}, 'token', '--key', $ENV{JOURNEY_KEY}, '--alg', 'RS256', '--kid', 'ins_2abc',
		'--header', '{"cat":"cl_B7d4PD111AAA"}', $payload) or die "mint: $!\n";
	chomp(my $token = <$pipe>);
	close $pipe or die "mint failed\n";
	return $token;
}

# The example values of all pages.
my %replace = (
	'pk_live_…' => 'pk_live_' . encode_base64('clerk.example.com$', ''),
	'whsec_…' => 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
	'user_2abc…' => 'user_2abc',
	'sess_2abc…' => 'sess_2abc',
	'eyJ…' => token($plan{claims} // {}),
	'@localhost/' => "\@localhost:$ENV{PGPORT}/");

# With its own values in place of the page's.
sub with_values
{
	my ($text) = @_;

	for my $values ($plan{replace}, \%replace)
	{
		$text =~ s/\Q$_\E/$values->{$_}/g for keys %$values;
	}
	$text =~ s{http://localhost:3000}{$api}g if $api;
	return $text;
}

# A program that reads lines for the whole page: a function that feeds it some and returns what it
# prints, "<failed: …>" when it ends.
sub session
{
	my ($end, @command) = @_;
	my ($in, $out) = ('', '');
	my $timer = timeout(60);
	my $program = start(\@command, '<', \$in, '>', \$out, '2>&1', $timer);

	return sub {
		my ($lines) = @_;

		$timer->start(60);
		$in .= "$lines\n$end\n";
		until ($out =~ s/<end>\n\z//)
		{
			return "$out\n<failed: it has ended>" if !eval { $program->pump; 1 };
		}
		my $printed = $out;
		$out = '';
		return $printed;
	};
}

sub psql
{
	return session('\\echo <end>', 'psql', '-X', '-f', '-');
}

# Clerk's servers are not to be had, so that curl is one that answers for them.
sub fake_curl
{
	mkdir "$dir/bin";
	spew("$dir/bin/curl", '#!/bin/sh' . "\n" . <<'EOF' . "exec curl \"\$@\"\n");
case "$*" in
	*https://clerk.example.com/.well-known/jwks.json) exec cat ../jwks.json ;;
	*offset=0*) offset=0 ;;
	*offset=2*) offset=2 ;;
	*offset=*) offset= ;;
esac
PATH=${PATH#*:}
case "$*" in
	*https://api.clerk.com/v1/sessions/sess_2abc/revoke) exit ;;
	*https://api.clerk.com/v1/users) kind=user list='[' end=']' ;;
	*https://api.clerk.com/v1/organizations) kind=org ;;
	*https://api.clerk.com/v1/organization_memberships) kind=orgmem ;;
esac
# two pages of each list, the first with two objects and the second with one, then none
case "${kind:+$offset}" in
	0) objects='{"id":"'$kind'_1","updated_at":1},{"id":"'$kind'_2","updated_at":1}' ;;
	2) objects='{"id":"'$kind'_3","updated_at":1}' ;;
esac
[ -z "$kind" ] || { echo "${list:-{\"data\":[}$objects${end:-],\"total_count\":3\}}" && exit; }
EOF
	chmod 0755, "$dir/bin/curl";
}

sub shell
{
	fake_curl();
	my $shell = session('printf "<end>\n"', 'bash');

	$shell->("cd $dir; PATH=$dir/bin:\$PATH; set -uE; trap 'echo \"<failed: \$BASH_COMMAND>\"' ERR");
	return $shell;
}

my ($psql, $shell, $postgrest);
END { local $?; $postgrest->kill_kill if $postgrest }

sub free_ports
{
	require IO::Socket::INET;
	my @sockets = map { IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') } 1, 2;

	return map { $_->sockport } @sockets;
}

# Starts PostgREST with these settings, and returns what it says when it does not get ready.
sub start_postgrest
{
	my ($conf) = @_;
	my ($port, $admin_port) = free_ports();
	my $log = "$dir/postgrest.log";

	$postgrest->kill_kill if $postgrest;
	spew("$dir/postgrest.conf", "$conf\nserver-host = \"127.0.0.1\"\nserver-port = $port\nadmin-server-port = $admin_port\n");
	$postgrest = start([ $ENV{JOURNEY_POSTGREST}, "$dir/postgrest.conf" ], '<', \'', '>', $log, '2>&1',
		init => sub { %ENV = (PATH => $ENV{PATH}) });
	$api = "http://127.0.0.1:$port";
	for (1 .. 100)
	{
		return '' if system("curl -fs -m 1 -o $dir/ready http://127.0.0.1:$admin_port/ready") == 0;
		select(undef, undef, undef, 0.1);
	}
	# somebody else may have taken a port between our look and PostgREST's
	return slurp($log) =~ /already in use|resource busy/ ? start_postgrest($conf) : "PostgREST is not ready\n" . slurp($log);
}

# How often PostgREST has read the schema.
sub schemas_read
{
	return $postgrest ? scalar(() = slurp("$dir/postgrest.log") =~ /Schema cache loaded/g) : 0;
}

# Runs something that tells PostgREST to read it, as a reader who is slower than that.
sub notifying
{
	my ($psql, $text) = @_;
	my $before = schemas_read();
	my $printed = $psql->($text);

	for (1 .. 100)
	{
		last if !$postgrest || schemas_read() > $before;
		select(undef, undef, undef, 0.1);
	}
	return $printed;
}

# What each language does: returns what is printed, and what was wrong.
my %run = (
	sql => sub {
		my ($text) = @_;
		my @wanted = $text =~ /-- fails: (\S+)/g;
		$psql //= psql();
		my $printed = $text =~ /NOTIFY pgrst|expose_webhook/ ? notifying($psql, $text) : $psql->($text);
		my @errors = $printed =~ /^((?:psql:.*?: )?(?:ERROR|FATAL): .*|<failed: .*)/mg;

		return ($printed, "errors: @errors; wanted: @wanted\n$printed")
		  if @errors != @wanted || grep { index($errors[$_], $wanted[$_]) < 0 } 0 .. $#errors;
		return ($printed, '');
	},
	sh => sub {
		my ($text) = @_;
		my $printed = ($shell //= shell())->($text);

		return ($printed, $printed =~ /^<failed: /m ? $printed : '');
	},
	ini => sub {
		my ($text) = @_;

		if ($text =~ /^# \S*postgresql\.conf/)
		{
			spew("$ENV{PGHOST}/data/postgresql.conf", $text, '>>');
			undef $psql;
			my $failed = system("$ENV{JOURNEY_RESTART} >$dir/restart.log 2>&1");
			return ('', $failed ? slurp("$dir/restart.log") : '');
		}
		return ('', start_postgrest($text));
	},
	js => sub {
		my ($text) = @_;
		my $file = "$dir/block.mjs";
		my $printed;

		symlink $ENV{JOURNEY_CLIENTS}, "$dir/node_modules";
		spew($file, with_values($plan{js}) =~ s/^BLOCK$/$text/mr);
		my $ok = IPC::Run::run([ 'node', $file ], '<', \'', '>', \$printed, '2>&1', timeout(60));
		return ($printed, $ok ? '' : $printed);
	},
	yaml => sub {
		my ($text) = @_;
		my @queries = map { s/^\s+//mgr } $text =~ /^ +query: \|\n((?: {6}.*\n)+)/mg;
		my $printed = ($psql //= psql())->(join '', 'SET ROLE exporter;', map({ "$_;\n" } @queries), 'RESET ROLE;');

		return ($printed, @queries && $printed !~ /^\S*ERROR:/m ? '' : $printed);
	});

# What matters of what is printed, as a line of words.
sub words
{
	my ($text) = @_;

	$text =~ s/[-+]{3,}//g;
	$text =~ s/^\(\d+ rows?\)$//mg;
	$text =~ s/[\s|]+/ /g;
	return $text =~ s/^ | $//gr;
}

sub prints
{
	my ($printed, $shown) = @_;
	my $pattern = join '.*?', map { quotemeta } split /…/, words($shown), -1;

	return words($printed) =~ /$pattern/;
}

# The number of the step that begins last before a place of the page, 0 before the first, undef in a
# section that does not go by steps.
sub step_at
{
	my ($text, $place) = @_;
	my ($step, $steps) = (0, 0);

	while ($text =~ /^(?:(## )|### (\d+)\. )/mg)
	{
		last if $1 && $-[0] > $place;
		($step, $steps) = (0, 0) if $1;
		$step = $2 if $2 && $-[0] < $place;
		$steps++ if $2;
	}
	return $steps ? $step : undef;
}

# The blocks of the page: language, text, line, section, step.
sub blocks
{
	my ($text) = @_;
	my @blocks;

	while ($text =~ /^( *)```(\w*)\n(.*?)^ *```$/msg)
	{
		my ($indent, $language, $block, $before) = ($1, $2, $3, substr($text, 0, $-[0]));

		push @blocks, { language => $language, text => $block =~ s/^$indent//mgr, line => 1 + $before =~ tr/\n//,
			section => scalar(() = $before =~ /^#+ /mg), step => step_at($text, length $before) };
	}
	return @blocks;
}

sub run_block
{
	my ($block) = @_;
	my ($first) = $block->{text} =~ /^(?:--.*\n)?(.*)/;
	my $name = "$page:$block->{line}: $first";
	my ($why) = map { $plan{skip}{$_} } grep { index($block->{text}, $_) >= 0 } keys %{ $plan{skip} };

	if ($why)
	{
		print "# skipped: $name: $why\n";
		$output = undef;
	}
	elsif (my $run = $run{ $block->{language} })
	{
		($output, my $fault) = $run->(with_values($block->{text}));
		$section = $block->{section};
		is($fault, '', $name);
	}
	elsif ($block->{language} !~ /^(?:text|json)?$/)
	{
		fail("$name: how is this run? (pages.pl)");
	}
	elsif (defined $output && $block->{section} == $section)
	{
		my $shown = with_values($block->{text});

		ok(prints($output, $shown), "$name (as shown)") or diag("it printed\n$output");
	}
}

# The reader of another page has what the README started.
sub start_as_in_readme
{
	my ($conf) = map { $_->{text} } grep { $_->{language} eq 'ini' } blocks(slurp("$top/README.md"));

	is(start_postgrest(with_values($conf)), '', "$page: PostgREST as in README.md");
}

sub run_page
{
	my ($text) = @_;
	my @blocks = blocks($text);

	for my $i (0 .. $#blocks)
	{
		my ($step, $next) = map { $_ ? $_->{step} : undef } @blocks[ $i, $i + 1 ];

		run_block($blocks[$i]);
		next if !$plan{between};
		$plan{between}->(page => $text, place => "$page:$blocks[$i]{line}", step => $step,
			is_last => ($step // '') ne ($next // ''), api => $api, session_token => \&token,
			sql => sub { ($run{sql}->(@_))[0] });
	}
}

start_as_in_readme() if $plan{postgrest};
for (@{ $plan{begin} })
{
	my ($language, $text) = @$_;

	is(($run{$language}->(with_values($text)))[1], '', "$page, what is there before");
}
run_page(slurp("$top/$page"));

# and what must be true of what the page has made
for my $expect (@{ $plan{expect} })
{
	my ($language, $text, $shown, $name) = @$expect;

	my ($printed, $fault) = $run{$language}->(with_values($text));

	ok($fault eq '' && prints($printed, with_values($shown)), "$page, at the end: $name") or diag("$fault it printed\n$printed");
}
Test::More->builder->current_test ? done_testing() : plan(skip_all => "nothing of $page is run here");
