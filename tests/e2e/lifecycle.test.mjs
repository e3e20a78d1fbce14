// The relay as a process: start, drain, reload, stop; and the pulse between it and its devices.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import { ClassD, classes } from './lib/devices.mjs';
import { RawWebSocket } from './lib/raw_ws.mjs';
import { rvpn } from './lib/relay.mjs';
import { certificate } from './lib/services.mjs';
import { binary, slowness } from './lib/paths.mjs';
import { scenario } from './lib/scene.mjs';
import { until, within } from './lib/wait.mjs';
import { HOST, LETTERS, another, get, world } from './lib/world.mjs';
import { Visitor } from './lib/visitors.mjs';

async function heldVisitor(w) {
    const visitor = await Visitor.connect({ port: w.relay.port });
    await visitor.write(`GET /hold HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    await visitor.until((text) => text.includes('\r\n\r\n'), 'the held answer');
    return visitor;
}

for (const signal of ['SIGTERM', 'SIGINT'])
    scenario(`${signal} drains: streams finish, devices are told 1001, exit is 0`, async (scene) => {
        const w = await world(scene, 'D');
        const b = await another(scene, w, 'B', 'second', { hosts: ['b.example'] });
        const visitor = await heldVisitor(w);
        w.relay.signal(signal);
        await w.relay.waitFor((e) => /drain|stopping|shutdown/.test(e.event));
        await assert.rejects(get(w).then((a) => {
            if (a.status === 503) throw new Error('refused with 503');
        }), undefined, 'new visitors are refused');
        w.http.held[0].end('and the rest');
        await visitor.until((text) => text.includes('and the rest'), 'the rest of the answer');
        visitor.destroy();
        for (const device of [w.device, b.device]) {
            const closed = await within(device.closed.promise, 'the close');
            assert.equal(closed.code, 1001);
        }
        const { code } = await within(w.relay.exited.promise, 'the exit');
        assert.equal(code, 0);
    });

scenario('a drain ends after grace, with `end` for every stream before the close', async (scene) => {
    const w = await world(scene, 'D', { config: { grace: '500ms' } });
    const visitor = await heldVisitor(w);
    const from = performance.now();
    w.relay.signal('SIGTERM');
    await visitor.end();
    assert.equal((await within(w.device.closed.promise, 'the close')).code, 1001);
    await within(w.relay.exited.promise, 'the exit');
    const took = performance.now() - from;
    assert.ok(took > 400 && took < 4000 * slowness, `${took} ms`);
});

scenario('a second relay on the same port is refused, not given a part of the visitors',
    async (scene) => {
        const relay = await scene.relay();
        const second = spawnSync(binary, ['serve', '--listen', `127.0.0.1:${relay.port}`,
            '--state', `${scene.folder()}/second`], { timeout: 10_000 });
        assert.equal(second.status, 1);
        assert.match(String(second.stderr), /listen_failed .*Address already in use/);
    });

scenario('a second signal stops at once', async (scene) => {
    const w = await world(scene, 'D');
    await heldVisitor(w);
    w.relay.signal('SIGTERM');
    await w.relay.waitFor((e) => /drain|stopping|shutdown/.test(e.event));
    assert.equal(w.relay.ended, false);
    const from = performance.now();
    w.relay.signal('SIGTERM');
    await within(w.relay.exited.promise, 'the exit');
    assert.ok(performance.now() - from < 1000 * slowness);
});

function shownCertificate(relay) {
    return new Promise((resolve, reject) => {
        const socket = tls.connect({ port: relay.port, host: '127.0.0.1', servername: relay.name,
            rejectUnauthorized: false }, () => {
            resolve(socket.getPeerCertificate().fingerprint256);
            socket.destroy();
        });
        socket.on('error', reject);
    });
}

scenario('SIGHUP takes a new certificate and new keys; streams go on', async (scene) => {
    const folder = scene.folder();
    const files = { certificate: path.join(folder, 'own.pem'), key: path.join(folder, 'own-key.pem') };
    const write = () => {
        const pair = certificate(['relay.test', '127.0.0.1']);
        writeFileSync(files.certificate, pair.cert);
        writeFileSync(files.key, pair.key, { mode: 0o600 });
        return pair.cert;
    };
    const ca = write();
    const [one, two] = ['first secret of the tests, long', 'second secret of the tests, long'];
    const keys = (...secrets) => secrets.map((secret, i) => ({ kid: `k${i}`, secret }));
    const config = { certificates: [files], keys: keys(one) };
    const relay = await scene.relay({ config });
    const options = (secret) => ({ relay, ca, token: relay.token({ hosts: [HOST], secret, keyid: 'k0' }) });
    const device = await scene.device(ClassD, options(one));
    await assert.rejects(scene.device(ClassD, options(two)));
    const before = await shownCertificate(relay);

    const reload = async (next) => {
        relay.writeConfig({ ...config, ...next });
        const from = relay.events.length;
        relay.signal('SIGHUP');
        return relay.waitFor((e) => /reload/.test(e.event), { from });
    };
    const renewed = write();
    await reload({ keys: keys(two) });
    await until(async () => await shownCertificate(relay) !== before, 'the new certificate');
    await scene.device(ClassD, { ...options(two), ca: renewed });
    await assert.rejects(scene.device(ClassD, { ...options(one), ca: renewed }));
    assert.equal(relay.ended, false);
    assert.ok(device.transport.ws.readyState <= 3);

    // A file that cannot be used is refused, and the old state stays.
    writeFileSync(relay.configFile, 'nonsense: [');
    const from = relay.events.length;
    relay.signal('SIGHUP');
    await relay.waitFor((e) => /reload/.test(e.event) && e.level !== 'info', { from });
    await scene.device(ClassD, { ...options(two), ca: renewed });
});

for (const letter of LETTERS)
    scenario(`class ${letter}: is pinged when idle and stays`, async (scene) => {
        const w = await world(scene, letter, { config: { ping_interval: '1s', ping_timeout: '1s' } });
        await until(() => w.device.pings.received >= 2, 'two pings');
        assert.equal((await get(w)).status, 200);
    });

for (const letter of ['D', 'G'])
    scenario(`class ${letter}: its own pings are answered, beside a full download too`,
        async (scene) => {
            const w = await world(scene, letter, { device: { ping: letter === 'D'
                ? { idleMs: 200, waitMs: 2000 } : { everyMs: 200, waitMs: 2000 } } });
            await until(() => w.device.pings.pongs >= 2, 'two pongs');
            const before = w.device.pings.pongs;
            await get(w, '/download?bytes=50000000', { keep: false });
            if (letter === 'G') await until(() => w.device.pings.pongs > before, 'a pong');
        });

scenario('a device that answers no ping is dropped and its visitors are closed', async (scene) => {
    const w = await world(scene, 'D', { config: { ping_interval: '1s', ping_timeout: '1s' } });
    const token = w.relay.token({ hosts: ['dead.example'] });
    const ws = await RawWebSocket.open({
        port: w.relay.port, ca: w.relay.ca, lines: [
            'GET / HTTP/1.1', `Host: 127.0.0.1:${w.relay.port}`, `Authorization: Bearer ${token}`,
            'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13',
            'Sec-WebSocket-Key: {key}',
        ],
    });
    let pings = 0;
    ws.on('ping', () => pings++); // and never a pong
    ws.listen();
    const visitor = await Visitor.connect({ port: w.relay.port });
    await visitor.write('GET / HTTP/1.1\r\nHost: dead.example\r\n\r\n');
    await visitor.end(8000);
    await within(ws.over.promise, 'the end of the dead device');
    assert.ok(pings >= 1);
    assert.equal((await get(w, '/', { host: 'dead.example' })).status, 503);
    assert.equal((await get(w)).status, 200);
});

scenario('a device that comes back takes over from its silent former self', async (scene) => {
    const w = await world(scene, 'D', { config: { ping_interval: '1s', ping_timeout: '1s' } });
    // The old connection still stands, but nobody is behind it.
    w.device.transport.ws._socket.pause();
    const again = await another(scene, w, 'D', 'again');
    await w.relay.untilTunnels((list) => list.length === 1, 'the old session to be dropped', 15_000);
    for (let i = 0; i < 4; i++) assert.match((await get(w)).body, /^again /);
    assert.equal(again.device.violations.length, 0);
});

scenario('every age of client reconnects after the relay was restarted', async (scene) => {
    const folder = scene.folder();
    const first = await scene.relay({ folder });
    const tokens = LETTERS.map((l) => first.token({ hosts: [`${l.toLowerCase()}.example`] }));
    await first.kill();
    // Same state folder: the tokens are still good, the certificate the same.
    const relay = await scene.relay({ folder });
    for (const [i, letter] of LETTERS.entries())
        await scene.device(classes[letter], { relay, token: tokens[i] });
});

scenario('the first start makes a secret and a certificate, private and only once', async (scene) => {
    const folder = scene.folder();
    const first = await scene.relay({ folder });
    const [secret, ca] = [first.secret, first.ca];
    assert.ok(secret.length >= 32);
    const { statSync } = await import('node:fs');
    assert.equal(statSync(path.join(first.state, 'secret')).mode & 0o777, 0o600);
    const answer = await first.fetch('/');
    assert.equal(answer.status, 200);
    await first.kill();
    const second = await scene.relay({ folder });
    assert.equal(second.secret, secret);
    assert.equal(second.ca, ca);
});

scenario('what cannot be configured is refused with file, line and range', async (scene) => {
    const folder = scene.folder();
    const file = path.join(folder, 'bad.yaml');
    for (const [text, says] of [
        ['sniff_timeout: 5s\nno_such_key: 1\n', /bad\.yaml:2: .*no_such_key/s],
        ['sniff_timeout: soon\n', /bad\.yaml:1: sniff_timeout: .*100 ?ms/s],
        ['stream_high: 1\n', /bad\.yaml:1: stream_high: .*4 ?KiB/s],
        ['listen: [\n', /bad\.yaml:/],
        ['http: maybe\n', /forward/],
    ]) {
        writeFileSync(file, text);
        for (const command of [['check', '-c', file], ['serve', '-c', file, '--listen', '127.0.0.1:0',
            '--state', path.join(folder, 'state')]]) {
            const answer = await rvpn(...command);
            assert.notEqual(answer.code, 0, `${command}: ${text}`);
            assert.match(answer.stderr + answer.stdout, says, text);
        }
    }
    writeFileSync(file, 'sniff_timeout: 2s\n');
    assert.equal((await rvpn('check', '-c', file)).code, 0);
});

scenario('a secret that cannot be read is no reason to start without one', async (scene) => {
    const folder = scene.folder();
    const empty = path.join(folder, 'empty');
    writeFileSync(empty, '', { mode: 0o600 });
    for (const file of [empty, path.join(folder, 'absent')]) {
        const answer = await rvpn('serve', '--listen', '127.0.0.1:0', '--state',
            path.join(folder, 'state'), '--secret-file', file);
        assert.notEqual(answer.code, 0);
        assert.notEqual(answer.stderr, '');
    }
});

scenario('every subcommand has its help', async () => {
    for (const args of [['--help'], ['serve', '--help'], ['token', '--help'], ['check', '--help']]) {
        const { code, stdout } = await rvpn(...args);
        assert.equal(code, 0, `${args}`);
        assert.match(stdout, /rvpn/, `${args}`);
    }
    assert.match((await rvpn('serve', '--help')).stdout, /--sniff-timeout/);
    assert.notEqual((await rvpn('nonsense')).code, 0);
});
