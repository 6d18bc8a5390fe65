# For nixpkgs' PostgreSQL, whose functions and libraries are the arguments:
#
#	services.postgresql.extensions = ps: [ (ps.callPackage ./packaging/clerk_rls.nix { }) ];
{
  lib,
  postgresqlBuildExtension,
  postgresql,
  pkg-config,
  openssl,
  jansson,
}:

let
  control = builtins.readFile ../clerk_rls.control;
in
postgresqlBuildExtension {
  pname = "clerk_rls";
  version = builtins.head (builtins.match ".*\ndefault_version = '([^']*)'.*" control);

  src = lib.cleanSource ../.;

  nativeBuildInputs = [ pkg-config ];
  buildInputs = [
    openssl
    jansson
  ];
  makeFlags = [ "with_llvm=no" ];

  meta = {
    description = "Verifies Clerk session tokens in the database, for row-level security policies";
    license = lib.licenses.postgresql;
    platforms = postgresql.meta.platforms;
  };
}
