// The life of single visits: endings, back-pressure, and what is counted.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import net from 'node:net';
import { manualService, patternBytes, sha256 } from './lib/services.mjs';
import { slowness } from './lib/paths.mjs';
import { scenario } from './lib/scene.mjs';
import { until, within } from './lib/wait.mjs';
import { HOST, LETTERS, get, getTls, world } from './lib/world.mjs';
import { Visitor, handshake } from './lib/visitors.mjs';

const MIB = 1 << 20;
const hold = `GET /hold HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;

async function held(w, n) {
    const visitors = [];
    for (let i = 0; i < n; i++) {
        const visitor = await Visitor.connect({ port: w.relay.port });
        await visitor.write(hold);
        await visitor.until((text) => text.includes('\r\n\r\n'), 'the held answer');
        visitors.push(visitor);
    }
    return visitors;
}

for (const letter of LETTERS)
    scenario(`class ${letter}: a device that dies takes its visitors with it at once`,
        async (scene) => {
            const w = await world(scene, letter);
            const visitors = await held(w, 5);
            const from = performance.now();
            await w.device.kill();
            await Promise.all(visitors.map((v) => v.end()));
            assert.ok(performance.now() - from < 1000 * slowness, 'visitors of a dead device hang');
            assert.equal((await get(w)).status, 503);
        });

for (const letter of LETTERS)
    scenario(`class ${letter}: a visitor that goes ends its local connection only`, async (scene) => {
        const w = await world(scene, letter);
        const [first, second] = await held(w, 2);
        first.reset();
        await until(() => w.http.sockets.size === 1, 'the local connection to end');
        w.http.held.forEach((r) => r.end('rest'));
        await second.until((text) => text.includes('rest'), 'the rest of the other answer');
        second.destroy();
        await until(() => w.http.sockets.size === 0, 'the other local connection to end');
    });

for (const letter of LETTERS)
    scenario(`class ${letter}: an end of the service comes after its last byte`, async (scene) => {
        const w = await world(scene, letter, { tcp: 'echo' });
        const manual = await manualService(scene);
        w.device.options.services = { ...w.device.options.services, tcp: manual.port };
        const visitor = await Visitor.connect({ port: w.tcpPort });
        await visitor.write('go');
        const socket = await manual.accepted();
        const answer = patternBytes(3 * MIB);
        socket.end(answer);
        await visitor.end();
        assert.equal(sha256(visitor.received), sha256(answer));
    });

for (const letter of LETTERS)
    scenario(`class ${letter}: a visitor may end its half and still get the answer`, async (scene) => {
        const w = await world(scene, letter);
        const visitor = await Visitor.connect({ port: w.relay.port });
        visitor.socket.end(`GET /late HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`);
        assert.match(await visitor.end(), / GET \/late /);
    });

// A visitor that does not read: the device's age decides how it is held.
for (const letter of ['B', 'C', 'D'])
    scenario(`class ${letter}: a stalled visitor pauses its stream and nobody else`, async (scene) => {
        const w = await world(scene, letter);
        const stalled = await Visitor.connect({ port: w.relay.port, pauseOnCreate: true });
        await stalled.write(`GET /download?bytes=${200 * MIB} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
        await until(() => w.device.pauses.received > 0, 'a pause');
        for (let i = 0; i < 5; i++) {
            const from = performance.now();
            assert.equal((await get(w)).status, 200);
            assert.ok(performance.now() - from < 1000 * slowness, 'another visitor waits for the stalled one');
        }
        const [stream] = [...w.device.streams.values()].filter((s) => w.device.paused.has(s));
        const { written } = stream;
        assert.ok(written < 64 * MIB, `${written} bytes taken for a visitor that does not read`);
        const more = new Promise((resolve) => {
            let seen = 0;
            stalled.socket.on('data', (d) => {
                seen += d.length;
                if (seen > written + MIB) resolve();
            });
        });
        await within(more, 'the download to go on');
        stalled.destroy();
    });

for (const letter of ['A', 'G'])
    scenario(`class ${letter}: a stalled visitor is held by TCP and the relay stays small`,
        async (scene) => {
            const w = await world(scene, letter, { config: { visitor_stall: '2s' } });
            const before = w.relay.rss();
            const stalled = await Visitor.connect({ port: w.relay.port, pauseOnCreate: true });
            await stalled.write(`GET /download?bytes=${200 * MIB} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
            // Closed after visitor_stall, so that it cannot hold the others for ever.
            await until(() => w.device.streams.size === 0, 'the stalled visitor to be closed');
            assert.ok(w.relay.rss() - before < 32 * MIB);
            assert.equal((await get(w)).status, 200);
            stalled.destroy();
        });

for (const letter of ['B', 'C', 'D'])
    scenario(`class ${letter}: a device that says pause gets no more until it says resume`,
        async (scene) => {
            const w = await world(scene, letter, { tcp: 'echo' });
            const manual = await manualService(scene);
            w.device.options.services = { ...w.device.options.services, tcp: manual.port };
            const visitor = await Visitor.connect({ port: w.tcpPort });
            const all = patternBytes(64 * MIB);
            visitor.socket.write(all);
            const socket = await manual.accepted();
            await until(() => w.device.pauses.sent > 0, 'the device to say pause');
            const { received } = w.device;
            assert.equal((await get(w)).status, 200, 'the others go on');
            assert.ok(w.device.received - received < 8 * MIB, 'the relay does not obey pause');
            const hash = createHash('sha256');
            let bytes = 0;
            socket.on('data', (d) => {
                hash.update(d);
                bytes += d.length;
            });
            await until(() => bytes === all.length, 'all of the upload');
            assert.equal(hash.digest('hex'), sha256(all));
            visitor.destroy();
        });

for (const letter of LETTERS)
    scenario(`class ${letter}: payload is counted to the byte`, async (scene) => {
        const w = await world(scene, letter, { tcp: 'echo' });
        const visitor = await Visitor.connect({ port: w.relay.port });
        await visitor.write(`GET /download?bytes=1234567 HTTP/1.1\r\nHost: ${HOST}\r\n` +
            'Connection: close\r\n\r\n');
        await visitor.end();
        visitor.destroy();
        let toDevice = visitor.socket.bytesWritten;
        let toVisitor = visitor.received.length;

        const raw = net.connect({ port: w.relay.port, host: '127.0.0.1' });
        const tls = await handshake({ socket: raw, host: HOST, ca: w.https.ca });
        const troubles = [];
        tls.on('error', (err) => troubles.push(err.message));
        const body = patternBytes(54_321);
        tls.write(`POST /upload HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n` +
            `Content-Length: ${body.length}\r\n\r\n`);
        tls.write(body);
        tls.resume();
        await within(new Promise((resolve) => tls.on('close', resolve)), 'the end of the upload');
        toDevice += raw.bytesWritten;
        toVisitor += raw.bytesRead;

        const tcp = await Visitor.connect({ port: w.tcpPort });
        await tcp.write('twelve bytes');
        await tcp.until((text) => text === 'twelve bytes', 'the echo');
        tcp.destroy();

        const [tunnel] = await w.relay.untilTunnels((list) => list[0].streams_open === 0 && list,
            'the streams to end');
        const services = [w.http, w.https, w.echo];
        await until(() => services.every((s) => s.sockets.size === 0), 'the services to be done');
        const sum = (key) => services.reduce((n, s) => n + s[key], 0);
        assert.equal(tunnel.streams, 3);
        assert.equal(tunnel.payload_to_visitor, toVisitor + 12, `http ${visitor.received.length}, ` +
            `ending in ${visitor.text.slice(-20)}; TLS ${raw.bytesRead}; ${troubles}`);
        assert.equal(w.device.received, tunnel.payload_to_device);
        // A TLS alert of farewell may be said when its stream has ended already: nobody hears it.
        const isFarewell = (bytes, whose) => assert.ok(bytes >= 0 && bytes <= 31, `${whose}: ${bytes}`);
        isFarewell(sum('bytesOut') - tunnel.payload_to_visitor, 'service');
        isFarewell(w.device.sent - tunnel.payload_to_visitor, 'device');
        isFarewell(toDevice + 12 - tunnel.payload_to_device, 'visitor');
        isFarewell(tunnel.payload_to_device - sum('bytesIn'), 'visitor, unheard by the service');
        assert.ok(tunnel.wire_from_device > tunnel.payload_to_visitor);
        assert.ok(tunnel.wire_to_device > tunnel.payload_to_device);

        const byName = (key) => tunnel.names.reduce((n, name) => n + name[key], 0);
        for (const key of ['payload_to_device', 'payload_to_visitor', 'streams'])
            assert.equal(byName(key), tunnel[key], key);
        assert.equal(tunnel.names.find((n) => n.host === HOST).streams, 2);
        assert.equal(tunnel.names.find((n) => n.port === w.tcpPort).payload_to_device, 12);
    });

scenario('GET /api/tunnels needs an admin token and shows nothing secret', async (scene) => {
    const w = await world(scene, 'D', { claims: { sub: 'alice' } });
    assert.equal((await get(w)).status, 200);
    const ask = (token) => w.relay.fetch('/api/tunnels',
        token ? { headers: { Authorization: `Bearer ${token}` } } : {});
    assert.equal((await ask()).status, 401);
    assert.equal((await ask('nonsense')).status, 401);
    assert.ok([401, 403].includes((await ask(w.token)).status), 'a device\'s token is no admin\'s');
    assert.equal((await w.relay.fetch(`/api/tunnels?access_token=${w.relay.adminToken()}`)).status,
        401, 'no admin token in a URL');
    const page = (query) => w.relay.fetch(`/api/tunnels?${query}`,
        { headers: { Authorization: `Bearer ${w.relay.adminToken()}` } });
    assert.equal(JSON.parse((await page('after=0')).body).tunnels.length, 1);
    assert.deepEqual(JSON.parse((await page('after=1000000')).body).tunnels, []);
    for (const query of ['after=', 'after=x', 'after=-1', 'after=1&x', 'before=1'])
        assert.equal((await page(query)).status, 400, query);
    const answer = await ask(w.relay.adminToken());
    assert.equal(answer.status, 200);
    assert.match(answer.headers['content-type'], /^application\/json/);
    const [tunnel] = JSON.parse(answer.body).tunnels;
    assert.deepEqual(tunnel.names.map((n) => [n.host, n.subject]), [[HOST, 'alice']]);
    assert.ok(Date.parse(tunnel.since) <= Date.now() || tunnel.since <= Date.now());
    assert.ok(!answer.body.includes(w.token.split('.')[2]));
    for (const host of [HOST, 'nobody.example']) {
        const other = await get(w, '/api/tunnels', { host,
            headers: { Authorization: `Bearer ${w.relay.adminToken()}` } });
        assert.ok(!other.body.includes('"tunnels"'), 'the API answers for a foreign Host');
    }
});

scenario('tunnels and streams leave their counts in the log', async (scene) => {
    const w = await world(scene, 'D');
    await getTls(w);
    await w.device.stop();
    const ended = await w.relay.waitFor((e) => /tunnel/.test(e.event) &&
        Object.keys(e.fields).some((k) => /payload/.test(k)));
    assert.ok(Number(ended.fields.streams) === 1, ended.line);
});
