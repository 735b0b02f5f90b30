"""TLS to PostgreSQL and Redis: a certificate that is trusted and of that host, or no connection."""

import datetime
import ipaddress
import subprocess

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import apexlib
import redisserver
import trading

DAY = datetime.timedelta(days=1)


class Authority:
    """Signs certificates of servers; `file` is what a client has to trust."""

    def __init__(self, folder):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test's authority")])
        made = self._signed(self.name, self.key.public_key(),
                            (x509.BasicConstraints(ca=True, path_length=0), True))
        self.file = folder / "authority.pem"
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def _signed(self, subject, key, *extensions):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder(
            issuer_name=self.name, subject_name=subject, public_key=key,
            serial_number=x509.random_serial_number(), not_valid_before=now - DAY,
            not_valid_after=now + DAY)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA256())

    def server(self, host):
        """The files of a certificate for a host and of its key."""
        try:
            named = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            named = x509.DNSName(host)
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._signed(x509.Name([]), key.public_key(),
                            (x509.SubjectAlternativeName([named]), True))
        certificate, private = self.folder / f"{host}.pem", self.folder / f"{host}.key"
        certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        private.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
        private.chmod(0o600)
        return certificate, private


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def encrypted(postgres, authority):
    """A PostgreSQL that lets nobody in without TLS, with a certificate for 127.0.0.1."""
    for source, name in zip(authority.server("127.0.0.1"), ("server.crt", "server.key")):
        target = postgres.folder / "data" / name
        target.write_bytes(source.read_bytes())
        target.chmod(0o600)
        postgres.own(target)
    # `psql` of the fixture speaks TLS where it is offered.
    (postgres.folder / "data" / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust\n")
    postgres.kill()
    postgres.settings.append("ssl=on")
    postgres.start()
    return postgres


@pytest.mark.parametrize("mode", ["require", "verify-full"])
def test_accounts_are_kept_over_tls(make_server, cli, encrypted, authority, mode):
    env = {"APEX_DATABASE_URL": f"{encrypted.url}?sslmode={mode}",
           "SSL_CERT_FILE": str(authority.file)}
    server = make_server("up", env=env)
    server.start()
    used = encrypted.query("SELECT count(*), count(*) FILTER (WHERE ssl) FROM pg_stat_activity "
                           "JOIN pg_stat_ssl USING (pid) WHERE application_name = 'apextrade'")
    count, over_tls = map(int, used.split("|"))
    assert count == over_tls > 0, used
    with server.grpc() as client:
        at = trading.market(client, trading.BTC)
        client.call("OrderService", "SubmitOrder", trading.resting("over-tls", at))
    server.kill()
    server.start()
    with server.grpc() as client:
        assert trading.get_order(client, "over-tls")["client_order_id"] == "over-tls"
    server.stop()
    assert cli("verify", "--json", "--data-dir", server.data_dir, env=env).json["ok"]


@pytest.mark.parametrize(("query", "trusts", "expected"), [
    ("?sslmode=require", False, "certificate"),
    ("", True, "hba"),
    ("?sslmode=disable", True, "hba"),
])
def test_a_database_that_cannot_be_trusted_is_not_used(
        cli, encrypted, authority, tmp_path, query, trusts, expected):
    strangers = tmp_path / "strangers"
    strangers.mkdir()
    trusted = authority if trusts else Authority(strangers)
    env = {"APEX_DATABASE_URL": encrypted.url + query, "SSL_CERT_FILE": str(trusted.file)}
    done = cli("up", "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0", env=env,
               check=False)
    assert done.returncode == 1
    assert "APEX_DATABASE_URL" in done.stderr and expected in done.stderr, done.stderr


def test_a_certificate_of_another_host_is_refused(cli, encrypted, authority, tmp_path):
    env = {"APEX_DATABASE_URL": encrypted.url.replace("127.0.0.1", "localhost")
           + "?sslmode=require", "SSL_CERT_FILE": str(authority.file)}
    done = cli("doctor", "--json", "--data-dir", tmp_path / "data", env=env, check=False)
    assert done.returncode == 1
    assert "APEX_DATABASE_URL" in done.stdout and "not valid for name" in done.stdout, done.stdout


def test_hot_values_are_written_over_tls(make_server, cli, authority, tmp_path):
    redisserver.installed()
    certificate, key = authority.server("127.0.0.1")
    port = apexlib.free_port()
    process = subprocess.Popen(
        [redisserver.PROGRAM, "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1",
         "--save", "", "--requirepass", redisserver.PASSWORD, "--dir", str(tmp_path),
         "--tls-cert-file", str(certificate), "--tls-key-file", str(key),
         "--tls-auth-clients", "no", "--tls-ca-cert-file", str(authority.file)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"rediss://:{redisserver.PASSWORD}@127.0.0.1:{port}/0"
    try:
        reader = redis.Redis.from_url(url, ssl_ca_certs=str(authority.file), socket_timeout=10)

        def answers():
            try:
                return reader.ping()
            except redis.ConnectionError:
                return False

        apexlib.until("redis-server over TLS", answers)
        trusting = {"APEX_REDIS_URL": url, "SSL_CERT_FILE": str(authority.file)}
        server = make_server("up", env=trusting)
        server.start()
        key = f"apex:1:quote:{trading.BTC}"
        apexlib.until("a quote in Redis", lambda: reader.get(key))
        server.stop()
        # Nobody's certificate is trusted: the name of the setting, and not its password.
        strangers = tmp_path / "strangers"
        strangers.mkdir()
        done = cli("up", "--data-dir", tmp_path / "other", "--listen", "127.0.0.1:0", check=False,
                   env={**trusting, "SSL_CERT_FILE": str(Authority(strangers).file)})
        assert done.returncode == 1 and "APEX_REDIS_URL" in done.stderr, done.stderr
        assert redisserver.PASSWORD not in done.stderr
    finally:
        process.kill()
        process.wait(apexlib.STOP_SECONDS)
