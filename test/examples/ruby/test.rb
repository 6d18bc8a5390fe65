# test.rb: two users of the gem pg, who share one connection behind PgBouncer. Prints TAP.
require 'json'
require_relative 'with_pg'

$stdout.sync = true
tokens = JSON.parse(File.read(ENV.fetch('EXAMPLES_TOKENS')))
ann, bea, expired = %w[ann bea ann_expired].map { |name| tokens[name][''] }
$count = $failed = 0

def same(got, wanted, name)
  $count += 1
  $failed += 1 if got != wanted
  puts "#{'not ' if got != wanted}ok #{$count} - #{name}"
  puts "# got #{got.inspect}, wanted #{wanted.inspect}" if got != wanted
end

def error_of
  yield
  nil
rescue StandardError => e
  e
end

system(ENV.fetch('EXAMPLES_PSQL'), '-Xqc', 'TRUNCATE notes') or raise
only = PG.connect(ENV.fetch('DATABASE_URL'))
add = ->(token, body) { user_transaction(only, token) { |db| db.exec_params('INSERT INTO notes (body) VALUES ($1) RETURNING user_id', [body])[0]['user_id'] } }
bodies = ->(token) { user_transaction(only, token) { |db| db.exec('SELECT body FROM notes ORDER BY id').column_values(0) } }

same(add.(ann, 'hello'), 'user_ann', 'an insert is in the name of whose token it is')
add.(bea, "bea's")
same([ann, bea, nil].map(&bodies), [['hello'], ["bea's"], []], 'everybody sees their own, nobody nothing')
error_of { user_transaction(only, ann) { |db| db.exec("INSERT INTO notes (body) VALUES ('undone')") && raise('changed my mind') } }
same(bodies.(ann), ['hello'], 'what fails is undone')
swallowed = error_of { user_transaction(only, ann) { |db| error_of { db.exec('SELECT 1/0') } } }
same(swallowed.class, PG::InFailedSqlTransaction, 'work that goes on after a statement that has failed is not reported as done')
refused = error_of { bodies.(expired) }
same([token_refused?(refused), refused.message[/token-expired/], refused.full_message.include?(expired)], [true, 'token-expired', false],
     'a refused token is known as such, with the reason, and not shown')
same(token_refused?(error_of { add.(nil, 'x') }), false, 'what a policy refuses is no refused token')
same(only.exec('SELECT body FROM notes').ntuples, 0, 'outside nobody is signed in')
exit($failed.zero?)
