"""Servers for scripts/sites: nginx and Apache from unpacked packages, one that is slow, and one that cuts what it sends."""

import asyncio
import collections
import mimetypes
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

# What a server says of a request that it has answered: `sent` are all bytes, `body` those after the head.
Request = collections.namedtuple("Request", "path status sent body known accept agent")


def free_port():
    with socket.socket() as at:
        at.bind(("127.0.0.1", 0))
        return at.getsockname()[1]


def wait_for(port, child, log):
    for _ in range(300):
        if child.poll() is not None:
            break
        with socket.socket() as at:
            if at.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit(f"error: {child.args[0]} does not start: {pathlib.Path(log).read_text()[-2000:]}")


class Server:
    """A process that answers on a port, always the same one."""

    name = ""

    def __init__(self, root, folder, docroot):
        self.root, self.folder, self.docroot = root, folder, docroot
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self.child = None
        self.read = 0

    def start(self, rules=""):
        """Starts it, with rules of its own language for this time."""
        self.stop()
        command, environment = self.configured(rules)
        with open(self.folder / "said", "ab") as said:
            self.child = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        wait_for(self.port, self.child, self.folder / "said")
        return self

    def stop(self):
        if self.child and self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            self.child.wait()

    def url(self, path="", host="127.0.0.1"):
        return f"http://{host}:{self.port}/{path}"

    def requests(self):
        """What ragstream has asked it for since this was called last."""
        time.sleep(0.3)
        try:
            with open(self.folder / "access", "rb") as log:
                log.seek(self.read)
                lines = log.read()
                self.read = log.tell()
        except FileNotFoundError:
            return []
        rows = [line.split("\t") for line in lines.decode("utf-8", "replace").splitlines()]
        rows = [Request(row[0], *map(int, row[1:4]), *row[4:]) for row in rows if len(row) == 7]
        return [row for row in rows if row.agent.startswith("ragstream")]


class Nginx(Server):
    name = "nginx"

    def configured(self, rules):
        here = self.folder
        user = "user root root;" if os.geteuid() == 0 else ""
        tls = f"listen 127.0.0.1:{self.tls[0]} ssl; ssl_certificate {self.tls[1]}; ssl_certificate_key {self.tls[2]};" if hasattr(self, "tls") else ""
        (here / "conf").write_text(f"""
            daemon off; {user} pid {here}/pid; error_log {here}/errors; worker_processes 1;
            events {{ worker_connections 512; }}
            http {{
              include {self.root}/etc/nginx/mime.types; default_type application/octet-stream;
              client_body_temp_path {here}/t1; proxy_temp_path {here}/t2; fastcgi_temp_path {here}/t3;
              uwsgi_temp_path {here}/t4; scgi_temp_path {here}/t5;
              log_format rows escape=none '$request_uri\t$status\t$bytes_sent\t$body_bytes_sent\t$http_if_none_match\t$http_accept\t$http_user_agent';
              access_log {here}/access rows;
              gzip on; gzip_types text/plain text/xml application/xml text/css; gzip_comp_level 1;
              server {{ listen 127.0.0.1:{self.port}; {tls} root {self.docroot}; index index.html; {rules} }}
            }}""")
        return [self.root / "usr/sbin/nginx", "-p", here, "-e", here / "errors", "-c", here / "conf"], None


class Apache(Server):
    name = "Apache"

    def configured(self, rules):
        here, modules = self.folder, self.root / "usr/lib/apache2/modules"
        load = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in "mpm_event authz_core dir mime filter deflate".split())
        types = re.findall(r"^\s+(\w+/\S+)\s+([^;]+);", (self.root / "etc/nginx/mime.types").read_text(), re.M)
        (here / "types").write_text("".join(f"{kind} {names}\n" for kind, names in types))
        user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
        (here / "conf").write_text(f"""
ServerRoot {here}
ServerName 127.0.0.1
Listen 127.0.0.1:{self.port}
DefaultRuntimeDir {here}
PidFile {here}/pid
ErrorLog {here}/errors
{load}
{user}
TypesConfig {here}/types
LogFormat "%U%q\t%>s\t%O\t%B\t%{{If-None-Match}}i\t%{{Accept}}i\t%{{User-agent}}i" rows
CustomLog {here}/access rows
AddOutputFilterByType DEFLATE text/html text/plain text/xml text/css
DocumentRoot {self.docroot}
DirectoryIndex index.html
<Directory {self.docroot}>
  Require all granted
</Directory>
{rules}
""")
        libraries = ":".join(str(folder) for folder in sorted((self.root / "usr/lib").glob("*-linux-gnu*")))
        command = [self.root / "usr/sbin/apache2", "-D", "FOREGROUND", "-f", here / "conf"]
        return command, {**os.environ, "LD_LIBRARY_PATH": libraries}


class Script(Server):
    """One of the two below, in a process of its own: what it costs is its own, too."""

    def __init__(self, kind, root, folder, docroot):
        super().__init__(root, folder, docroot)
        self.kind = kind

    def configured(self, rules):
        return [sys.executable, __file__, self.kind, str(self.port), str(self.docroot), rules], None


async def slow(port, docroot, seconds):
    """Gives files, each after some time."""

    async def answer(reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                await asyncio.sleep(float(seconds))
                path = pathlib.Path(docroot) / head.split(" ", 2)[1].split("?")[0].lstrip("/")
                path = path / "index.html" if path.is_dir() else path
                found = path.is_file() and pathlib.Path(docroot) in path.parents
                body = path.read_bytes() if found else b"not found"
                kind = mimetypes.guess_type(path.name)[0] if found else "text/plain"
                status = "200 OK" if found else "404 Not Found"
                writer.write(f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", int(port)) as server:
        await server.serve_forever()


async def cut(port, _, behind):
    """Gives what another server gives, but of each body the first half alone."""

    async def answer(reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            # No condition: a short "not modified" has nothing to be cut.
            head = re.sub(r"(?im)^(connection|if-none-match|if-modified-since):.*\r\n", "", head)
            their_reader, their_writer = await asyncio.open_connection("127.0.0.1", int(behind))
            their_writer.write(head.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").encode("latin-1"))
            start, _, body = (await their_reader.read(-1)).partition(b"\r\n\r\n")
            their_writer.close()
            writer.write(start + b"\r\n\r\n" + (body[: len(body) // 2] if b" 200 " in start[:14] else body))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", int(port)) as server:
        await server.serve_forever()


def copied(source, target):
    """A site, with what its links into other packages lead to as far as it is there. Readable by whoever serves it."""
    shutil.copytree(source, target, ignore_dangling_symlinks=True)
    for folder, _, names in os.walk(target):
        os.chmod(folder, 0o755)
        for name in names:
            os.chmod(os.path.join(folder, name), 0o644)


if __name__ == "__main__":
    asyncio.run({"slow": slow, "cut": cut}[sys.argv[1]](*sys.argv[2:]))
