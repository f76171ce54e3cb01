"""TLS before a PostgreSQL, in records as large as TLS allows: what libpq takes of one may leave a rest
behind, of which its socket tells nothing."""
import os
import select
import socket
import ssl
import struct
import threading

from .process import free_port

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
RECORD = 16384  # bytes, as many as a record can hold
MOMENT = 0.02  # seconds


class Terminator:
    """A port of 127.0.0.1 whose clients must speak TLS."""

    def __init__(self, env):
        self.target = os.path.join(env.postgres.socket, f".s.PGSQL.{env.postgres.port}")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(env.certificate.path, env.certificate.key_path)
        self.port = free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=50)
        threading.Thread(target=self._accept, daemon=True).start()

    def dsn(self, dbname, user):
        return f"host=127.0.0.1 port={self.port} dbname={dbname} user={user} sslmode=require"

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client):
        server = socket.socket(socket.AF_UNIX)
        try:
            if client.recv(8, socket.MSG_WAITALL) != SSL_REQUEST:
                # A cancel request, which libpq sends without TLS: it is not needed here.
                client.close()
                return
            client.sendall(b"S")
            client = self.context.wrap_socket(client, server_side=True)
            server.connect(self.target)
        except OSError:
            client.close()
            return
        try:
            self._carry(client, server)
        except OSError:
            pass
        client.close()
        server.close()

    @staticmethod
    def _carry(client, server):
        """One thread for both ways: a connection of TLS has no room for two."""
        while True:
            ready = [client] if client.pending() else select.select([client, server], [], [])[0]
            if client in ready:
                data = client.recv(RECORD)
                if not data:
                    return
                server.sendall(data)
            if server in ready:
                # The more there is in a record, the more may be left of it: it is sent once it is full,
                # or nothing more comes for a moment.
                data = b""
                while len(data) < RECORD and select.select([server], [], [], MOMENT)[0]:
                    more = server.recv(RECORD - len(data))
                    if not more:
                        break
                    data += more
                if not data:
                    return
                client.sendall(data)

    def close(self):
        self.listener.close()
