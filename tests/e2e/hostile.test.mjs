// Broken and hostile visitors and devices: each is alone with what it does.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { ClassC, ClassD } from './lib/devices.mjs';
import { OP, RawWebSocket, connect, frame } from './lib/raw_ws.mjs';
import { writers } from './lib/packers.mjs';
import { scenario } from './lib/scene.mjs';
import { deferred, until, within } from './lib/wait.mjs';
import { HOST, another, get, getTls, world } from './lib/world.mjs';
import { Visitor } from './lib/visitors.mjs';

const upgrade = (relay, extra = [], path = '/') => [
    `GET ${path} HTTP/1.1`, `Host: 127.0.0.1:${relay.port}`, 'Connection: Upgrade',
    'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: {key}', ...extra,
];

async function rawDevice(w, { token, ...options } = {}) {
    const ws = await RawWebSocket.open({ lines: upgrade(w.relay, token
        ? [`Authorization: Bearer ${token}`] : []), port: w.relay.port, ca: w.relay.ca, ...options });
    ws.seen = [];
    ws.on('message', (data) => ws.seen.push(data));
    ws.on('close', (code) => (ws.code = code));
    ws.on('violation', (why) => assert.fail(why));
    return ws.listen();
}

// Nothing has happened to the others: same process, same tunnel, still served.
async function unharmed(w) {
    assert.equal(w.relay.ended, false);
    assert.equal((await get(w)).status, 200);
    assert.equal((await getTls(w)).status, 200);
    assert.equal(w.device.transport.ws.readyState, 1);
}

const mproxy = (header, body = '') => {
    const h = Buffer.from(header);
    return Buffer.concat([Buffer.from([0xfe, h.length]), h, Buffer.from(body)]);
};

scenario('garbage from visitors harms nobody', async (scene) => {
    const w = await world(scene, 'D');
    const starts = ['', '\x16\x03\x01', '\x16\x03\x01\x00\x05', 'GET ', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
        '\xfe\x0d,,,0,control', '\x81\x05hello', '\x16\x03\x01\xff\xff\x01\xff\xff\xff', '\x80\x2e\x01'];
    const visits = Array.from({ length: 90 }, async (_, i) => {
        const visitor = await Visitor.connect({ port: w.relay.port });
        await visitor.write(Buffer.concat([Buffer.from(starts[i % starts.length], 'latin1'),
            randomBytes(1 + (i * 977) % 20_000)]));
        visitor.socket.end();
        await visitor.end(10_000).finally(() => visitor.destroy());
    });
    await Promise.all(visits);
    await unharmed(w);
});

scenario('garbage inside the relay\'s own TLS harms nobody', async (scene) => {
    const w = await world(scene, 'D');
    for (let i = 0; i < 20; i++) {
        const socket = await connect({ port: w.relay.port, ca: w.relay.ca });
        const over = deferred();
        socket.on('close', over.resolve).on('error', () => {}).resume();
        socket.end(randomBytes(1 + i * 500));
        await within(over.promise, 'the close');
    }
    await unharmed(w);
});

// What the Node relay of 2018 and the Go relays died of, from anybody.
const unauthenticated = {
    'an empty control message': mproxy(',,,0,control'),
    'a body of 99999999999 bytes': mproxy('IPv4,1.2.3.4,5,99999999999,https,443,a.example', 'x'),
    'a control body of 99999999999 bytes': mproxy(',,,99999999999,control', '['),
    'a negative length': mproxy('IPv4,1.2.3.4,5,-1,https', ''),
    'a length that is no number': mproxy('IPv4,1.2.3.4,5,1e9,https', ''),
    'a header of nothing': Buffer.from([0xfe, 0]),
    'a header of commas': mproxy(','.repeat(255)),
    'a header without an end': Buffer.from([0xfe, 0xff, 1, 2, 3]),
    'a wrong first byte': Buffer.from('\xff\x0d,,,0,control', 'latin1'),
    'control that is no JSON': mproxy(',,,3,control', '[1,'),
    'control that is no list': mproxy(',,,2,control', '{}'),
    'control as deep as it goes': mproxy(`,,,${20000},control`, '['.repeat(20000)),
    'control with a huge number': mproxy(',,,24,control', '[1e999999999,"add_token"]'.slice(0, 24)),
    'a command nobody knows': writers['1.4'].control([7, 'format_disk', '/'])[0],
    'add_token without a token': writers['1.4'].control([7, 'add_token'])[0],
    'add_token with a list': writers['1.4'].control([7, 'add_token', [[]]])[0],
    'an id of the wrong kind': writers['1.4'].control([{}, 'add_token', 'x'])[0],
    'six small frames in one message': Buffer.concat(Array.from({ length: 6 }, (_, i) =>
        mproxy(`IPv4,1.2.3.4,${i},1,https,443,a.example`, 'x'))),
    'data before any token': mproxy('IPv4,1.2.3.4,5,3,https,443,a.example', 'abc'),
    'random bytes': randomBytes(5000),
};

scenario('an unauthenticated WebSocket can send anything and harm nobody', async (scene) => {
    const w = await world(scene, 'D');
    for (const [what, bytes] of Object.entries(unauthenticated)) {
        const ws = await rawDevice(w);
        ws.send(bytes);
        // Whatever it answers or closes, the next one must find a relay that lives.
        ws.control(OP.ping, Buffer.from('?'));
        await within(Promise.race([ws.over.promise, new Promise((r) => ws.once('pong', r)),
            new Promise((r) => ws.once('close', r))]), what);
        ws.destroy();
    }
    await unharmed(w);
});

scenario('an authenticated device can send anything and harm nobody', async (scene) => {
    const w = await world(scene, 'D');
    const token = w.relay.token({ hosts: ['evil.example'], sub: 'evil' });
    for (const [what, bytes] of Object.entries(unauthenticated)) {
        const ws = await rawDevice(w, { token });
        ws.send(bytes);
        ws.control(OP.ping, Buffer.from('?'));
        await within(Promise.race([ws.over.promise, new Promise((r) => ws.once('pong', r)),
            new Promise((r) => ws.once('close', r))]), what);
        ws.destroy();
    }
    await unharmed(w);
});

scenario('an unknown command is answered with E_UNKNOWN_COMMAND', async (scene) => {
    const w = await world(scene, 'D');
    const device = await scene.device(ClassC, { relay: w.relay, tokens: [] });
    assert.equal((await device.command('format_disk', '/')).code, 'E_UNKNOWN_COMMAND');
    assert.ok((await device.command('add_token'))?.code);
});

scenario('data for a stream that is not there is answered E_NO_CONN', async (scene) => {
    const w = await world(scene, 'D');
    const answered = deferred();
    w.device.on('ended', (cid, kind, body) => answered.resolve([cid, kind, body]));
    const meta = { family: 'IPv4', address: '203.0.113.9', port: '40001', service: 'https',
        serviceport: '443', name: HOST };
    for (const bytes of writers['2.0'].data(meta, Buffer.from('late'))) w.device.transport.send(bytes);
    const [cid, kind, body] = await within(answered.promise, 'an answer');
    assert.equal(cid, 'IPv4,203.0.113.9,40001');
    assert.equal(kind, 'error');
    assert.equal(JSON.parse(body).code, 'E_NO_CONN');
    await unharmed(w);
});

scenario('a device cannot write into, pause or end another device\'s streams', async (scene) => {
    const w = await world(scene, 'D');
    const evil = await another(scene, w, 'D', 'evil', { hosts: ['evil.example'],
        claims: { sub: 'evil' } });
    const visitor = await Visitor.connect({ port: w.relay.port });
    await visitor.write(`GET /hold HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    await visitor.until((text) => text.includes('\r\n\r\n'), 'the held answer');
    const [stream] = w.device.streams.values();
    const w2 = writers['2.0'];
    for (const bytes of [...w2.data(stream.meta, Buffer.from('STOLEN')),
        ...w2.pause(stream.meta, 1), ...w2.end(stream.meta)])
        evil.device.transport.send(bytes);
    assert.equal(await evil.device.addToken('x').then((a) => a.code), 'E_INVALID_TOKEN');
    w.http.held[0].end('rest');
    await visitor.until((text) => text.includes('rest'), 'the rest');
    assert.ok(!visitor.text.includes('STOLEN'));
    visitor.destroy();
});

const wsBreaks = {
    'an unmasked frame': frame(OP.binary, Buffer.from('x'), { mask: null }),
    'a reserved bit': frame(OP.binary, Buffer.from('x'), { rsv: 4 }),
    'a reserved opcode': frame(11, Buffer.from('x')),
    'a fragmented ping': frame(OP.ping, Buffer.from('x'), { fin: false }),
    'a long ping': frame(OP.ping, Buffer.alloc(126)),
    'a continuation of nothing': frame(OP.more, Buffer.from('x')),
    'a length with its top bit set': Buffer.from('82ffffffffffffffffff01020304', 'hex'),
    'a text message that is not UTF-8': frame(OP.text, Buffer.from([0xff, 0xfe])),
};

scenario('a WebSocket that breaks the protocol is failed, alone', async (scene) => {
    const w = await world(scene, 'D');
    const token = w.relay.token({ hosts: ['evil.example'], sub: 'evil' });
    for (const [what, bytes] of Object.entries(wsBreaks)) {
        const ws = await rawDevice(w, { token });
        ws.socket.write(bytes);
        await within(ws.over.promise, what);
        assert.ok([1002, 1003, 1007, 1009].includes(ws.code), `${what}: ${ws.code}`);
    }
    await unharmed(w);
});

scenario('a million one-byte fragments cost no memory', { ms: 60_000 }, async (scene) => {
    const w = await world(scene, 'D');
    const ws = await rawDevice(w, { token: w.relay.token({ hosts: ['evil.example'] }) });
    const count = 1_000_000;
    const header = mproxy(`IPv4,1.2.3.4,5,${count},https,443,evil.example`);
    const thousand = Buffer.concat(Array.from({ length: 1000 }, () =>
        frame(OP.more, Buffer.from('x'), { fin: false })));
    // Sends `n` thousand of them, and waits until the relay has read them all.
    const bomb = async (n) => {
        for (let i = 0; i < n; i++)
            if (!ws.socket.write(thousand))
                await within(new Promise((r) => ws.socket.once('drain', r)), 'the relay to read');
        ws.control(OP.ping, Buffer.from('?'));
        await within(new Promise((r) => ws.once('pong', r)), 'a pong behind it all', 30_000);
    };
    ws.socket.write(frame(OP.binary, header, { fin: false }));
    await bomb(200); // the relay's own buffers are there now
    const before = w.relay.rss();
    await bomb(count / 1000 - 200);
    const grown = w.relay.rss() - before;
    assert.ok(grown < 2 * 1024 * 1024, `${grown} bytes for a bomb of fragments`);
    ws.socket.write(frame(OP.more, Buffer.alloc(0)));
    ws.destroy();
    await unharmed(w);
});

scenario('a page of another origin cannot open a WebSocket', async (scene) => {
    const w = await world(scene, 'D');
    const token = w.relay.token({ hosts: ['b.example'] });
    const admin = w.relay.adminToken();
    const own = `https://127.0.0.1:${w.relay.port}`;
    const open = async (path, extra) => {
        const ws = await RawWebSocket.open({ lines: upgrade(w.relay, extra, path),
            port: w.relay.port, ca: w.relay.ca });
        ws.destroy();
        return ws.status;
    };
    for (const origin of ['https://evil.example', 'null', `https://${HOST}`, `${own}.evil.example`,
        'http://127.0.0.1:1']) {
        const line = `Origin: ${origin}`;
        assert.equal(await open(`/?access_token=${token}`, [line]), 403, origin);
        assert.equal(await open('/ws/client', [line]), 403, origin);
        assert.equal(await open('/ws/admin', [line, `Authorization: Bearer ${admin}`]), 403, origin);
    }
    assert.equal(await open('/ws/client', [`Origin: ${own}`]), 101);
    assert.equal(await open('/ws/admin', [`Cookie: access_token=${admin}`]), 401);
    await unharmed(w);
});

scenario('a device that floods its own stream is held, not the relay filled', async (scene) => {
    const w = await world(scene, 'D');
    const token = w.relay.token({ hosts: ['flood.example'] });
    const ws = await rawDevice(w, { token });
    const visitor = await Visitor.connect({ port: w.relay.port, pauseOnCreate: true });
    await visitor.write('GET / HTTP/1.1\r\nHost: flood.example\r\n\r\n');
    const first = await until(() => ws.seen.find((d) => d.includes('http,')), 'the stream');
    const [family, address, port] = first.subarray(2).toString('latin1').split(',');
    const meta = { family, address, port, service: 'http', serviceport: '80', name: 'flood.example' };
    const [flood] = writers['1.4.3'].data(meta, Buffer.alloc(60_000));
    const before = w.relay.rss();
    let blocked = false;
    for (let i = 0; i < 2000 && !blocked; i++) {
        ws.send(flood);
        blocked = ws.socket.writableLength > 32 * 1024 * 1024;
        if (i % 50 === 0) await new Promise(setImmediate);
    }
    await unharmed(w);
    assert.ok(w.relay.rss() - before < 32 * 1024 * 1024);
    visitor.destroy();
    ws.destroy();
});

scenario('a thousand idle visitors do not keep others out', async (scene) => {
    const w = await world(scene, 'D');
    const idle = await Promise.all(Array.from({ length: 1000 }, () => new Promise((resolve, reject) => {
        const s = net.connect({ port: w.relay.port, host: '127.0.0.1' }, () => resolve(s));
        s.on('error', reject);
    })));
    await unharmed(w);
    idle.forEach((s) => s.destroy());
});

scenario('a device that cuts its connection in the middle of a frame harms nobody', async (scene) => {
    const w = await world(scene, 'D');
    const token = w.relay.token({ hosts: ['b.example'] });
    const whole = frame(OP.binary, writers['1.4.3'].control([9, 'add_token', token])[0]);
    for (let at = 0; at < whole.length; at += 11) {
        const ws = await rawDevice(w, { token });
        ws.socket.write(whole.subarray(0, at));
        ws.socket.end();
        await within(ws.over.promise, `the end after ${at} bytes`);
    }
    await unharmed(w);
    const again = await scene.device(ClassD, { relay: w.relay, token });
    assert.equal(again.grants.length > 0, true);
});
