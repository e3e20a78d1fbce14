// Which device a visitor reaches, and what a visitor for nobody is told.
import assert from 'node:assert/strict';
import { clientHello } from './lib/client_hello.mjs';
import { classes } from './lib/devices.mjs';
import { httpService, sha256, patternBytes } from './lib/services.mjs';
import { scenario } from './lib/scene.mjs';
import { splitter } from './lib/splitter.mjs';
import { HOST, LETTERS, another, get, getTls, world } from './lib/world.mjs';
import { Visitor, handshake, request } from './lib/visitors.mjs';
import { until } from './lib/wait.mjs';

const plain = (path, host, extra = '') => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${extra}\r\n`;

// A device of its own for each of `hosts`; gives {host: service}.
async function oneEach(scene, w, hosts, letter = 'D') {
    const made = {};
    for (const host of hosts)
        made[host] = (await another(scene, w, letter, host, { hosts: [host] })).http;
    return made;
}

const textOf = async (w, host) => (await request({ port: w.relay.port, host })).body.split(' ')[0];

for (const letter of LETTERS)
    scenario(`class ${letter}: two devices of one owner share a name, one carries on alone`,
        async (scene) => {
            const w = await world(scene, letter);
            const second = await another(scene, w, letter, 'second');
            await until(async () => await textOf(w, HOST) === 'http', 'the first to be trusted again');
            const seen = { http: 0, second: 0 };
            for (let i = 0; i < 10; i++) seen[await textOf(w, HOST)]++;
            assert.deepEqual(seen, { http: 5, second: 5 });

            await w.device.kill();
            await w.relay.untilTunnels((list) => list.length === 1, 'the dead device to be gone');
            for (let i = 0; i < 4; i++) assert.equal(await textOf(w, HOST), 'second');
            await second.device.kill();
            await w.relay.untilTunnels((list) => list.length === 0, 'the last device to be gone');
            assert.equal((await get(w)).status, 503);
        });

scenario('the longest matching suffix wins, an exact name before all', async (scene) => {
    const w = await world(scene, 'D');
    await oneEach(scene, w, ['*.w.example', '*.deep.w.example', 'x.deep.w.example']);
    assert.equal(await textOf(w, 'x.deep.w.example'), 'x.deep.w.example');
    assert.equal(await textOf(w, 'y.deep.w.example'), '*.deep.w.example');
    assert.equal(await textOf(w, 'y.x.deep.w.example'), '*.deep.w.example');
    assert.equal(await textOf(w, 'deep.w.example'), '*.w.example');
    assert.equal(await textOf(w, 'anything.w.example'), '*.w.example');
    const bare = await request({ port: w.relay.port, host: 'w.example' });
    assert.equal(bare.status, 404, 'a wildcard does not cover the bare name');
});

for (const letter of LETTERS)
    scenario(`class ${letter}: serves a wildcard name by http and TLS`, async (scene) => {
        const w = await world(scene, letter, { hosts: ['*.w.example'] });
        for (const ask of [get, getTls])
            assert.equal((await ask(w, '/', { host: 'any.w.example' })).status, 200);
    });

scenario('names are compared without case, port and final dot', async (scene) => {
    const w = await world(scene, 'D');
    for (const host of ['A.EXAMPLE', 'a.example:1234', 'a.example.', `a.example:${w.relay.port}`])
        assert.equal((await get(w, '/', { headers: { Host: host } })).status, 200, host);
    const tls = await handshake({ port: w.relay.port, host: 'A.ExAmPlE', ca: w.https.ca });
    tls.destroy();
});

scenario('a Host that could mean two things is refused with 400', async (scene) => {
    const w = await world(scene, 'D');
    const bad = [
        '', 'a.example, b.example', 'a.example b.example', 'user@a.example', 'a.example/x',
        'a.example:99999', 'a.example:http', 'a..example', '.a.example',
        `${'x'.repeat(64)}.example`, `${'x.'.repeat(130)}example`, 'a.example\x01', 'a.exa\x1bmple',
        'a.example#', 'a.example?x', '[::1', 'a_b\\.example', 'a.exämple', '%61.example',
    ];
    for (const host of bad) {
        const visitor = await Visitor.connect({ port: w.relay.port });
        await visitor.write(Buffer.from(plain('/', host), 'latin1'));
        assert.match(await visitor.end(), /^HTTP\/1\.1 400 /, JSON.stringify(host));
    }
    const heads = [
        'GET / HTTP/1.1\r\n\r\n',
        `GET / HTTP/1.1\r\nHost: ${HOST}\r\nHost: b.example\r\n\r\n`,
        `GET / HTTP/1.1\r\nHost: ${HOST}\r\nHost: ${HOST}\r\n\r\n`,
        `GET http://b.example/ HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
        `GET / HTTP/1.1\r\nHost : ${HOST}\r\n\r\n`,
        `GET / HTTP/1.1\r\n Host: ${HOST}\r\n\r\n`,
        `GET / HTTP/1.1\r\nX: y\r\n Host: ${HOST}\r\n\r\n`,
        `GET / HTTP/1.1\nHost: ${HOST}\n\n`,
        `GET / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
        `GET / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n`,
        `GET / HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: xchunked\r\n\r\n`,
        `CONNECT ${HOST}:443 HTTP/1.1\r\nHost: ${HOST}:443\r\n\r\n`,
        `GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
            'Content-Length: 3\r\n\r\nabc',
    ];
    for (const head of heads) {
        const visitor = await Visitor.connect({ port: w.relay.port });
        await visitor.write(head);
        assert.match(await visitor.end(), /^HTTP\/1\.1 (400|501|505) /, JSON.stringify(head));
    }
    assert.equal(w.http.requests.length, 0);
    assert.ok(!w.relay.log.includes('\x1b'), 'a visitor drives the terminal');
});

scenario('a name nobody serves: 404 that says so, and unrecognized_name in TLS', async (scene) => {
    const w = await world(scene, 'D');
    const answer = await request({ port: w.relay.port, host: 'nobody.example' });
    assert.equal(answer.status, 404);
    assert.match(answer.body, /nobody\.example/);
    await assert.rejects(handshake({ port: w.relay.port, host: 'nobody.example' }), (err) => {
        assert.match(err.message, /unrecognized name|alert number 112/i);
        return true;
    });
});

scenario('a name whose device is away: 503 with when it was last seen', async (scene) => {
    const w = await world(scene, 'D');
    await w.device.stop();
    await w.relay.untilTunnels((list) => list.length === 0, 'the device to be gone');
    const answer = await get(w);
    assert.equal(answer.status, 503);
    assert.match(answer.body, /a\.example/);
    assert.match(answer.body, /last seen/i);
    await assert.rejects(handshake({ port: w.relay.port, host: HOST }));
});

scenario('the 404 page does not play back what a visitor put into the name', async (scene) => {
    const w = await world(scene, 'D');
    const visitor = await Visitor.connect({ port: w.relay.port });
    await visitor.write(plain('/<script>alert(1)</script>', 'nobody.example'));
    assert.ok(!(await visitor.end()).includes('<script>alert'));
});

scenario('http: redirect sends visitors to https, but never an ACME challenge', async (scene) => {
    const w = await world(scene, 'D', { config: { http: 'redirect' } });
    const answer = await get(w, '/page?x=1');
    assert.ok([301, 302, 307, 308].includes(answer.status), `${answer.status}`);
    assert.match(answer.headers.location, /^https:\/\/a\.example(:\d+)?\/page\?x=1$/);
    assert.equal(w.http.requests.length, 0);
    const challenge = await get(w, '/.well-known/acme-challenge/token');
    assert.equal(challenge.body, `http GET /.well-known/acme-challenge/token host=${HOST}`);
    assert.equal((await getTls(w)).status, 200);
});

for (const step of [1, 7])
    scenario(`a ClientHello in pieces of ${step} byte reaches its device`, async (scene) => {
        const w = await world(scene, 'A');
        const port = await splitter(scene, w.relay.port, step);
        const answer = await request({ port, host: HOST, ca: w.https.ca, path: '/cut' });
        assert.equal(answer.body, `https GET /cut host=${HOST}`);
    });

for (const letter of LETTERS)
    scenario(`class ${letter}: an HTTP head cut at every byte is forwarded whole`, async (scene) => {
        const w = await world(scene, letter);
        const port = await splitter(scene, w.relay.port, 1);
        const body = patternBytes(20_000);
        const answer = await request({ port, host: HOST, path: '/upload', method: 'POST', body,
            headers: { 'X-Long': 'y'.repeat(500) } });
        assert.equal(JSON.parse(answer.body).sha256, sha256(body));
    });

scenario('a ClientHello of many small TLS records reaches its device', async (scene) => {
    const w = await world(scene, 'A');
    const visitor = await Visitor.connect({ port: w.relay.port });
    const hello = await clientHello(HOST);
    const body = hello.subarray(5);
    const records = [];
    for (let at = 0; at < body.length; at += 50) {
        const piece = body.subarray(at, at + 50);
        records.push(Buffer.from([22, 3, 1, 0, piece.length]), piece);
    }
    await visitor.write(Buffer.concat(records));
    await visitor.until((text) => text.length > 5 && text.charCodeAt(0) === 22, 'a ServerHello');
    visitor.destroy();
});

for (const [what, bytes] of [
    ['nothing', ''],
    ['half a ClientHello', Buffer.from('160301020001000111', 'hex')],
    ['half a request line', 'GET / HT'],
    ['a head without its end', `GET / HTTP/1.1\r\nHost: ${HOST}\r\n`],
])
    scenario(`a visitor that sends ${what} is closed after sniff_timeout`, async (scene) => {
        const w = await world(scene, 'D', { config: { sniff_timeout: '300ms' } });
        const visitor = await Visitor.connect({ port: w.relay.port });
        if (bytes.length) await visitor.write(bytes);
        await visitor.end(3000);
        assert.equal(w.device.opened, 0);
    });

scenario('a head longer than sniff_bytes is refused', async (scene) => {
    const w = await world(scene, 'D', { config: { sniff_bytes: '8KiB' } });
    const visitor = await Visitor.connect({ port: w.relay.port });
    await visitor.write(`GET / HTTP/1.1\r\nX: ${'y'.repeat(10_000)}\r\nHost: ${HOST}\r\n\r\n`);
    assert.match(await visitor.end(), /^HTTP\/1\.1 (400|431) /);
    assert.equal((await get(w, '/', { headers: { X: 'y'.repeat(5000) } })).status, 200);
});

scenario('anything else on a shared port is closed with a short message', async (scene) => {
    const w = await world(scene, 'D');
    for (const bytes of ['SSH-2.0-OpenSSH_9.2\r\n', '\0\0\0\0', 'EHLO a.example\r\n']) {
        const visitor = await Visitor.connect({ port: w.relay.port });
        await visitor.write(bytes);
        const said = await visitor.end();
        assert.ok(said.length > 0 && said.length < 1024, JSON.stringify([bytes, said]));
    }
    assert.equal(w.device.opened, 0);
});

// A connection's first request chose a device; the second names another host.
for (const [how, cut] of [['after the first answer', true], ['in the same segment', false]])
    for (const [what, first] of [
        ['without a body', plain('/one', HOST)],
        ['with a body of known length',
            `POST /upload HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 5\r\n\r\nhello`],
        ['with a chunked body', `POST /upload HTTP/1.1\r\nHost: ${HOST}\r\n` +
            'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
    ])
        scenario(`a second request for another host, ${how}, first ${what}, never reaches the first`,
            async (scene) => {
                const w = await world(scene, 'D');
                const { http } = await another(scene, w, 'D', 'other', { hosts: ['b.example'] });
                const visitor = await Visitor.connect({ port: w.relay.port });
                const second = plain('/two', 'b.example', 'Connection: close\r\n');
                await visitor.write(cut ? first : first + second);
                await visitor.until((text) => text.includes('\r\n\r\n'), 'the first answer');
                if (cut) await visitor.write(second);
                const all = await visitor.end();
                assert.equal(all.split('HTTP/1.1 200').length - 1 <= 2, true);
                assert.equal(w.http.requests.length, 1);
                for (const r of w.http.requests) assert.equal(r.headers.host, HOST);
                for (const r of http.requests) assert.equal(r.headers.host, 'b.example');
            });

scenario('a second request for the same host on one connection is served', async (scene) => {
    const w = await world(scene, 'D');
    const visitor = await Visitor.connect({ port: w.relay.port });
    for (const path of ['/one', '/two', '/three']) {
        await visitor.write(plain(path, HOST));
        await visitor.until((text) => text.includes(` ${path} `), path);
    }
    await visitor.write(plain('/four', HOST) + plain('/five', HOST));
    await visitor.until((text) => text.includes(' /five '), 'pipelined answers');
    assert.equal(w.http.requests.length, 5);
    visitor.destroy();
});

scenario('bytes behind an upgrade are the visitor\'s own, whatever they look like', async (scene) => {
    const w = await world(scene, 'D');
    w.http.server.on('upgrade', (_, socket) => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n' +
            'Upgrade: echo\r\n\r\n');
        socket.pipe(socket);
    });
    const visitor = await Visitor.connect({ port: w.relay.port });
    await visitor.write(plain('/', HOST, 'Connection: Upgrade\r\nUpgrade: echo\r\n'));
    await visitor.until((text) => text.includes('\r\n\r\n'), 'the 101');
    const alien = plain('/', 'b.example');
    await visitor.write(alien);
    await visitor.until((text) => text.endsWith(alien), 'the echo');
    visitor.destroy();
});

scenario('a TLS visitor of the relay that asks for a device\'s host gets 421', async (scene) => {
    const w = await world(scene, 'D');
    for (const host of [HOST, 'nobody.example']) {
        const answer = await w.relay.fetch('/', { headers: { Host: host } });
        assert.equal(answer.status, 421, host);
    }
    assert.equal(w.http.requests.length, 0);
});

scenario('an IPv6 visitor is served and named as such', async (scene) => {
    const w = await world(scene, 'D', { relay: { listen: ['127.0.0.1:0', '[::1]:0'] } });
    const [, port] = w.relay.ports;
    const seen = [];
    w.device.on('stream', (s) => seen.push([s.meta.family, s.meta.address]));
    for (const ca of [undefined, w.https.ca]) {
        const answer = await request({ port, address: '::1', host: HOST, ca });
        assert.equal(answer.status, 200);
    }
    assert.equal((await get(w)).status, 200);
    assert.deepEqual(seen, [['IPv6', '::1'], ['IPv6', '::1'], ['IPv4', '127.0.0.1']]);
});

scenario('devices of every age connect over IPv6', async (scene) => {
    const relay = await scene.relay({ listen: ['127.0.0.1:0', '[::1]:0'] });
    const http = await httpService(scene);
    for (const letter of LETTERS) {
        const host = `${letter.toLowerCase()}.example`;
        await scene.device(classes[letter], { relay, host: '::1', port: relay.ports[1],
            token: relay.token({ hosts: [host] }), services: { http: http.port } });
        assert.equal((await request({ port: relay.port, host })).status, 200);
    }
});

// A name of exactly `bytes` under *.w.example.
function longName(bytes) {
    const labels = 'l'.repeat(bytes - '.w.example'.length).match(/.{1,60}/g);
    const name = `${labels.join('.')}.w.example`;
    return name.slice(name.length - bytes).replace(/^\./, 'l');
}

// The header's length is one byte and holds address, name and the digits of the body's length, also
// on the way back, where the body may be longer.
for (const letter of LETTERS)
    scenario(`class ${letter}: names are served as long as the header of 255 bytes has room`,
        { ms: 60_000 }, async (scene) => {
            const w = await world(scene, letter, { hosts: ['*.w.example'],
                relay: { listen: ['127.0.0.1:0', '[::1]:0'] } });
            for (const [port, address] of [[w.relay.ports[0], '127.0.0.1'], [w.relay.ports[1], '::1']]) {
                let refused = 0;
                for (let bytes = 195; bytes <= 253; bytes++) {
                    const host = longName(bytes);
                    assert.equal(host.length, bytes);
                    // Twice 64 KiB at least: a length of five digits.
                    const answer = await request({ port, address, host, path: '/download?bytes=200000' });
                    if (answer.status === 200) {
                        assert.equal(answer.bytes, 200_000);
                        assert.equal(refused, 0, `${bytes} bytes served, ${refused} not`);
                    } else {
                        assert.ok(answer.status >= 400 && bytes > 208, `${bytes}: ${answer.status}`);
                        refused ||= bytes;
                    }
                }
                scene.t.diagnostic(`refused from ${refused} bytes on, ${address}`);
            }
            assert.equal((await get(w, '/', { host: 'short.w.example' })).status, 200);
        });
