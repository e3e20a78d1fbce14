"""The subcommands of rvpn: exit codes, what goes to which output, tokens that verify.

usage: test_commands.py RVPN     (the program)
"""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

RVPN = str(pathlib.Path(sys.argv.pop(1)).resolve()) if len(sys.argv) > 1 else "rvpn"
COMMANDS = ["serve", "check", "token", "version", "help"]
TREE = pathlib.Path(__file__).resolve().parents[2]


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Commands(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_it(self, *arguments, env=None, stdout=subprocess.PIPE):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("RVPN_", "XDG_"))}
        done = subprocess.run([RVPN, *arguments], cwd=self.folder, env={**clean, **(env or {})},
                              stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
                              text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return str(path)

    def claims(self, token, secret):
        """The header and payload of a token that `secret` signed, HS256."""
        head, body, signature = token.strip().split(".")
        expected = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
        self.assertEqual(unpadded(signature), expected)
        return json.loads(unpadded(head)), json.loads(unpadded(body))

    def test_help_is_everywhere_on_standard_output(self):
        rows = [["--help"], ["-h"], ["help"]]
        rows += [[c, "--help"] for c in COMMANDS] + [["help", c] for c in COMMANDS]
        for arguments in rows:
            with self.subTest(arguments):
                code, out, err = self.run_it(*arguments)
                self.assertEqual((code, err), (0, ""))
                self.assertTrue(out.startswith("usage: rvpn"))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_what_is_asked_wrongly_is_refused_with_one_line(self):
        rows = [
            (["frobnicate"], "rvpn: frobnicate: no such command"),
            (["help", "frobnicate"], "rvpn: frobnicate: no such command"),
            (["version", "x"], "rvpn version: takes no arguments"),
            (["check", "--frobnicate"], "rvpn check: --frobnicate: no such flag"),
            (["check", "x"], "rvpn check: x: no such argument"),
            (["check", "-c", "absent"], "rvpn check: absent: No such file"),
            (["check", "--workers=1000"], "rvpn check: --workers: out of range (0 to 256)"),
            (["check", "--secret-file", "absent"], "rvpn check: absent: No such file"),
            (["check", "--example", "x"], "rvpn check: --example: no such flag"),
            (["serve", "x"], "rvpn serve: x: no such argument"),
            (["serve", "-c", "absent"], "rvpn serve: absent: No such file"),
            (["serve", "--listen", "x:1"], "rvpn serve: --listen: not an address and port"),
            (["token"], "rvpn token: needs at least one --host, --port or --scope"),
            (["token", "--host"], "rvpn token: --host: needs a value"),
            (["token", "--host", "a b"], "rvpn token: --host: not a host name"),
            (["token", "--host", "192.0.2.1"], "rvpn token: --host: not a host name"),
            (["token", "--port", "0"], "rvpn token: --port: not a port (1 to 65535)"),
            (["token", "--host=a", "--ttl=1"], "rvpn token: --ttl: not a time"),
            (["token", "--host=a", "--ttl=1ms"], "rvpn token: --ttl: shorter than a second"),
            (["token", "--host=a", "--sub="], "rvpn token: --sub: needs 1 to 255 characters"),
            (["token", "--host=a", "--frobnicate"], "rvpn token: --frobnicate: no such flag"),
            (["token", "--host=a", "--ttl=0", "--token-require-exp"], "rvpn token: --ttl: "),
        ]
        for arguments, line in rows:
            with self.subTest(arguments):
                code, out, err = self.run_it(*arguments)
                self.assertEqual((code, out, err.count("\n")), (2, "", 1))
                self.assertEqual(err[:len(line)], line)
        code, out, err = self.run_it()
        self.assertEqual((code, out), (2, ""))
        self.assertIn("usage: rvpn", err)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_the_example_is_the_one_in_the_tree_and_is_good(self):
        code, out, _ = self.run_it("check", "--example")
        self.assertEqual(code, 0)
        self.assertEqual(out, (TREE / "rvpn.example.yaml").read_text(encoding="utf-8"))
        code, out, err = self.run_it("check", "-c", self.write("rvpn.yaml", out))
        self.assertEqual((code, out.split("\n")[0], err), (0, "ok", ""))

    def test_check_says_what_a_configuration_comes_to_and_makes_nothing(self):
        self.write("secret", "from a file, not to be shown\n")
        name = self.write("rvpn.yaml", "workers: 3\nkeys:\n- {kid: a, secret: not-to-be-shown}\n"
                                       "- {kid: b, secret_file: secret}\n")
        code, out, err = self.run_it("check", "-c", name, "--log-level=debug",
                                     env={"RVPN_HTTP": "redirect", "RVPN_TYPO": "1"})
        self.assertEqual((code, err), (0, "rvpn check: RVPN_TYPO: names no key, ignored\n"))
        for line in ["ok", "workers: 3", "log_level: debug", "http: redirect", '    secret: "***"']:
            self.assertIn(line, out.split("\n"))
        self.assertNotIn("to-be-shown", out)
        self.assertEqual({p.name for p in self.folder.iterdir()}, {"secret", "rvpn.yaml"})

    def test_check_reads_the_keys_and_certificates(self):
        self.write("broken.pem", "-----BEGIN NOTHING-----\n")
        rows = ["keys: [{kid: a, pem: broken.pem}]", "keys: [{jwks: broken.pem}]",
                "keys: [{kid: a, secret_file: absent}]",
                "certificates: [{certificate: broken.pem, key: broken.pem}]"]
        for yaml in rows:
            with self.subTest(yaml):
                code, out, err = self.run_it("check", "-c", self.write("rvpn.yaml", yaml))
                self.assertEqual((code, out, err.count("\n")), (2, "", 1))
                self.assertTrue("broken.pem" in err or "absent" in err, err)

    def test_a_token_of_the_state_folder_says_what_was_asked(self):
        code, out, err = self.run_it("token", "--host", "A.Example.", "--host=*.b.example",
                                     "--port", "30001", "--port=1", "--sub", "me", "--ttl", "2h",
                                     "--state", "st")
        self.assertEqual((code, err, out.count("\n")), (0, "", 1))
        secret = (self.folder / "st/secret").read_bytes().strip()
        self.assertEqual((self.folder / "st/secret").stat().st_mode & 0o777, 0o600)
        head, body = self.claims(out, secret)
        self.assertEqual(head, {"alg": "HS256", "typ": "JWT"})
        self.assertEqual(body["domains"], ["a.example", "*.b.example"])
        self.assertEqual([str(p) for p in body["ports"]], ["30001", "1"])
        self.assertEqual((body["sub"], body["exp"] - body["iat"]), ("me", 7200))
        self.assertLess(abs(body["iat"] - time.time()), 60)
        _, again, _ = self.run_it("token", "--scope", "admin", "--ttl=0", "--state", "st")
        _, body = self.claims(again, secret)
        self.assertEqual(body["scope"], "admin")
        self.assertNotIn("exp", body)

    def test_a_token_is_signed_with_the_secret_that_the_relay_would_take(self):
        self.write("old", "shhhhh\n")
        name = self.write("rvpn.yaml", "token_audience: relay\nkeys:\n- {kid: a, secret: aaaa}\n"
                                       "- {kid: b, secret_file: old}\n")
        rows = [
            (["--secret-file", "old"], b"shhhhh", None),
            (["-c", name], b"aaaa", "a"),
            (["-c", name, "--kid", "b"], b"shhhhh", "b"),
            (["-c", name, "--secret-file", "old"], b"shhhhh", None),
            (["-c", name, "--secret-file", "old", "--kid=a"], b"aaaa", "a"),
        ]
        for arguments, secret, kid in rows:
            with self.subTest(arguments):
                code, out, err = self.run_it("token", "--host=a.example", *arguments)
                self.assertEqual((code, err), (0, ""))
                head, body = self.claims(out, secret)
                self.assertEqual(head.get("kid"), kid)
                self.assertEqual(body.get("aud"), "relay" if "-c" in arguments else None)
        code, out, err = self.run_it("token", "--host=a.example", "-c", name, "--kid", "c")
        self.assertEqual((code, out), (1, ""))
        self.assertFalse((self.folder / "rvpn-state").exists())

    def test_output_that_cannot_be_written_is_a_failure(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            for arguments in (["version"], ["check"], ["help"], ["token", "--scope=admin"]):
                with self.subTest(arguments):
                    code, _, err = self.run_it(*arguments, stdout=full)
                    self.assertEqual((code, err.count("\n")), (1, 1))


if __name__ == "__main__":
    unittest.main()
