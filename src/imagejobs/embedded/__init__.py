"""PostgreSQL from a wheel, for those who set no `DATABASE_URL`.

    server     start, attach, release
    cluster    the database files: made whole or not at all, and the record of their password and port
    programs   the wheel's programs: found, copied where needed, run as the right user
    files      private files, and locks that the kernel releases

The server listens on 127.0.0.1, on a port of its own, and on no Unix socket: one scheme for every client that takes a
`DATABASE_URL`, for root and for others, however long the path of the data directory (a socket's path ends at 107 bytes, many
clients know none, and as root it would lie in a directory of another user). The price: every local user can knock. So nobody
is trusted; each connection needs the generated password (SCRAM-SHA-256), kept in `postgresql.json`, mode 0600.
"""

from imagejobs.embedded.server import Server, start

__all__ = ["Server", "start"]
