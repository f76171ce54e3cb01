"""A way to the database that can break: then the server may go on with what it was told, and whoever
told it does not hear what became of it."""
import os
import socket
import threading


class Proxy:
    """A socket like PostgreSQL's in a directory of its own."""

    def __init__(self, env, dbname, user):
        self.env, self.target = env, os.path.join(env.postgres.socket, f".s.PGSQL.{env.postgres.port}")
        self.directory = env.make_directory(env.unique("proxy"))
        self.path = os.path.join(self.directory, ".s.PGSQL.5432")
        self.dsn = f"host={self.directory} port=5432 dbname={dbname} user={user}"
        self.lock, self.ends, self.listener = threading.Lock(), [], None
        self.open()

    def open(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o777)
        self.listener.listen(50)
        threading.Thread(target=self.accept, args=[self.listener], daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.target)
            with self.lock:
                self.ends += [client, server]
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self.copy, args=pair, daemon=True).start()

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Breaks all connections, and lets no new one through until open()."""
        os.unlink(self.path)
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            ends, self.ends = self.ends, []
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()
