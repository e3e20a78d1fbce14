// The relay's own TLS with either AES, and OpenSSL's s_client at the other end: every suite, key
// updates with megabytes between them, resumption, and a record that was changed on its way.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';
import { scenario } from './lib/scene.mjs';
import { until, within } from './lib/wait.mjs';

const MIB = 1 << 20;
const ALERT_BAD_RECORD_MAC = /alert bad record mac/;

const suites = [
    ['-tls1_3', '-ciphersuites', 'TLS_AES_128_GCM_SHA256'],
    ['-tls1_3', '-ciphersuites', 'TLS_AES_256_GCM_SHA384'],
    ['-tls1_3', '-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256'],
    ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
    ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
    ['-tls1_2', '-cipher', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
];

// s_client takes a letter at the start of what it reads for a command: none of these is one.
function bytes(count) {
    const all = Buffer.alloc(count);
    for (let i = 0; i < count; i++) all[i] = (i * 7 + (i >> 8) + (i >> 16)) & 0x3f;
    return all;
}

// One binary message of a WebSocket's client; the mask is zero.
function message(payload) {
    const { length } = payload;
    const head = Buffer.alloc(length < 126 ? 6 : length < 65536 ? 8 : 14);
    head[0] = 0x82;
    head[1] = 0x80 | (length < 126 ? length : length < 65536 ? 126 : 127);
    if (length >= 65536) head.writeUInt32BE(length, 6);
    else if (length >= 126) head.writeUInt16BE(length, 2);
    return Buffer.concat([head, payload]);
}

// `openssl s_client` on the relay's /ws/echo.
class Client {
    constructor(scene, relay, args, port = relay.port) {
        this.text = Buffer.alloc(0); // what has not been looked at yet
        this.errors = '';
        this.process = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`,
            '-servername', relay.name, '-CAfile', path.join(relay.state, 'certificate.pem'),
            '-verify_return_error', ...args], { stdio: 'pipe' });
        this.process.stdout.on('data', (d) => (this.text = Buffer.concat([this.text, d])));
        this.process.stderr.setEncoding('utf8').on('data', (d) => (this.errors += d));
        this.process.stdin.on('error', () => {}); // it may end before we have said all
        this.closed = new Promise((resolve) => this.process.on('close', resolve));
        scene.after(() => {
            this.process.kill('SIGKILL');
            return this.closed;
        });
    }

    // Waits for `mark` among what it prints; gives that up to its end.
    async printed(mark) {
        let at;
        await until(() => (at = this.text.indexOf(mark)) >= 0, `s_client to print ${mark}`);
        const before = this.text.subarray(0, at + mark.length).toString('latin1');
        this.text = this.text.subarray(at + mark.length);
        return before;
    }

    // Gives what it has said of the connection.
    async upgrade(relay) {
        this.process.stdin.write(`GET /ws/echo HTTP/1.1\r\nHost: ${relay.name}\r\n` +
            'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
            'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n');
        const about = await this.printed('HTTP/1.1 101 ');
        await this.printed('\r\n\r\n');
        return about;
    }

    // Sends `count` bytes and sees them come back.
    async echo(count) {
        const sent = bytes(count);
        const parts = [];
        let left = count;
        for (let at = 0; at < count; at += 65536) // in messages of its own size each
            this.process.stdin.write(message(sent.subarray(at, at + 65536)));
        await until(() => (left -= this.takeFrames(parts)) <= 0, `${count} bytes to come back`);
        assert.equal(Buffer.compare(Buffer.concat(parts), sent), 0);
    }

    // Moves the payloads of whole frames to `parts`; gives their length.
    takeFrames(parts) {
        let all = 0;
        for (;;) {
            const short = this.text.length < 2 ? 0 : this.text[1];
            const head = short < 126 ? 2 : short === 126 ? 4 : 10;
            if (this.text.length < head) return all;
            const length = short < 126 ? short
                : short === 126 ? this.text.readUInt16BE(2) : this.text.readUInt32BE(6);
            if (this.text.length < head + length) return all;
            parts.push(this.text.subarray(head, head + length));
            this.text = this.text.subarray(head + length);
            all += length;
        }
    }

    // `k`: new keys for what we send; `K`: and for what the relay sends.
    async updateKeys(command) {
        this.errors = '';
        this.process.stdin.write(`${command}\n`);
        await until(() => this.errors.includes('KEYUPDATE'), 's_client to update its keys');
    }
}

// Hands on what comes, but for the last byte of one record with data once it is told to.
async function tamper(scene, relay) {
    const proxy = { armed: false };
    const server = net.createServer((near) => {
        const far = net.connect(relay.port, '127.0.0.1');
        let rest = Buffer.alloc(0);
        far.pipe(near);
        near.on('data', (data) => {
            rest = Buffer.concat([rest, data]);
            while (rest.length >= 5 && rest.length >= 5 + rest.readUInt16BE(3)) {
                const record = Buffer.from(rest.subarray(0, 5 + rest.readUInt16BE(3)));
                rest = rest.subarray(record.length);
                if (proxy.armed && record[0] === 23) {
                    record[record.length - 1] ^= 1;
                    proxy.armed = false;
                }
                far.write(record);
            }
        });
        for (const socket of [near, far]) {
            socket.on('error', () => {});
            scene.after(() => socket.destroy());
        }
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    scene.after(() => server.close());
    proxy.port = server.address().port;
    return proxy;
}

// A relay with that AES, or undefined where there is none: the test then says that it was skipped.
async function relayWith(scene, aes) {
    const relay = await scene.relay({ config: { echo: true, vector_aes: aes } });
    const chosen = relay.find('aes_chosen')[0].fields;
    assert.equal((await relay.counts()).aes, chosen.aes);
    if (aes === 'off') assert.equal(chosen.aes, 'openssl');
    else if (chosen.aes !== 'vector') {
        scene.t.skip(chosen.why);
        return undefined;
    }
    return relay;
}

for (const aes of ['auto', 'off']) {
    scenario(`vector_aes: ${aes}: each suite, a megabyte there and back`, async (scene) => {
        const relay = await relayWith(scene, aes);
        for (const suite of relay ? suites : []) {
            const client = new Client(scene, relay, suite);
            const about = await client.upgrade(relay);
            assert.match(about, new RegExp(`Cipher is ${suite[2]}`));
            assert.match(about, /Verification: OK/);
            await client.echo(1);
            await client.echo(MIB);
        }
    });

    for (const suite of suites.slice(0, 3))
        scenario(`vector_aes: ${aes}: key updates under ${suite[2]}, two megabytes after each`,
            async (scene) => {
                const relay = await relayWith(scene, aes);
                if (!relay) return;
                const client = new Client(scene, relay, suite);
                await client.upgrade(relay);
                for (const command of ['k', 'K', 'K', 'k']) {
                    await client.echo(2 * MIB);
                    await client.updateKeys(command);
                }
                await client.echo(2 * MIB);
            });

    for (const suite of [suites[1], suites[4]])
        scenario(`vector_aes: ${aes}: a session of ${suite[2]} is taken up again`, async (scene) => {
            const relay = await relayWith(scene, aes);
            if (!relay) return;
            const session = path.join(scene.folder(), 'session');
            const first = new Client(scene, relay, [...suite, '-sess_out', session]);
            assert.match(await first.upgrade(relay), /New, TLSv1/);
            await first.echo(1000);
            first.process.kill('SIGKILL');
            await first.closed;
            const second = new Client(scene, relay, [...suite, '-sess_in', session]);
            assert.match(await second.upgrade(relay), /Reused, TLSv1/);
            await second.echo(MIB);
        });

    for (const suite of suites)
        scenario(`vector_aes: ${aes}: a changed record of ${suite[2]} ends in bad_record_mac`,
            async (scene) => {
                const relay = await relayWith(scene, aes);
                if (!relay) return;
                const proxy = await tamper(scene, relay);
                const client = new Client(scene, relay, suite, proxy.port);
                await client.upgrade(relay);
                await client.echo(70_000);
                proxy.armed = true;
                client.process.stdin.write(message(bytes(1000)));
                await within(client.closed, 's_client to end');
                assert.match(client.errors, ALERT_BAD_RECORD_MAC);
                assert.ok(!client.text.includes(bytes(1000).subarray(0, 64)), 'it was echoed');
            });
}
