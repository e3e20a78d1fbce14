// Who gets in, with what, for how long, and who may take which name.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { ClassA, ClassB, ClassC, ClassD, ClassG, classes } from './lib/devices.mjs';
import { freePort, rvpn } from './lib/relay.mjs';
import { httpService } from './lib/services.mjs';
import { scenario } from './lib/scene.mjs';
import { protocolTime, within } from './lib/wait.mjs';
import { HOST, LETTERS, another, anyTcpPort, get, world } from './lib/world.mjs';
import { Visitor, request } from './lib/visitors.mjs';

const invalid = { message: 'invalid access token', code: 'E_INVALID_TOKEN' };
const invalidText = '{"error":{"message":"invalid access token","code":"E_INVALID_TOKEN"}}';
const base64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function badTokens(relay) {
    const good = relay.token({ hosts: [HOST] });
    const [head, body, signature] = good.split('.');
    const none = `${base64({ alg: 'none', typ: 'JWT' })}.${body}.`;
    const confused = `${base64({ alg: 'RS256', typ: 'JWT' })}.${body}`;
    const flipped = signature.replace(/^./, (c) => (c === 'A' ? 'B' : 'A'));
    return {
        'signed by somebody else': relay.token({ hosts: [HOST], secret: 'x'.repeat(32) }),
        expired: relay.token({ hosts: [HOST], ttl: '-10s' }),
        'not valid yet': relay.token({ hosts: [HOST], nbf: Math.floor(Date.now() / 1000) + 600 }),
        'unsigned (alg none)': none,
        'of another algorithm': `${confused}.${createHmac('sha256', relay.secret).update(confused)
            .digest('base64url')}`,
        'with a changed signature': `${head}.${body}.${flipped}`,
        'with a changed claim': `${head}.${base64({ domains: ['b.example'] })}.${signature}`,
        'no token at all': 'nonsense',
    };
}

const kinds = ['signed by somebody else', 'expired', 'not valid yet', 'unsigned (alg none)',
    'of another algorithm', 'with a changed signature', 'with a changed claim', 'no token at all'];

for (const Kind of [ClassA, ClassB])
    scenario(`class ${Kind.traits.name}: a bad token in the URL gets the exact text, then 1000`,
        async (scene) => {
            const relay = await scene.relay();
            const bad = badTokens(relay);
            assert.deepEqual(Object.keys(bad), kinds);
            for (const kind of kinds) {
                const device = scene.adopt(new Kind({ relay, token: bad[kind] }));
                await device.connect();
                const closed = await within(device.closed.promise, `a refusal of ${kind}`);
                assert.deepEqual(device.texts, [invalidText], kind);
                assert.equal(closed.code, 1000, kind);
                assert.equal(closed.reason, '', kind);
                if (closed.bytes) assert.equal(closed.bytes.toString('hex'), '03e8', kind);
                // A frame would look like success to the oldest clients: they would come back for ever.
                assert.equal(device.judge.frames, 0, kind);
            }
        });

for (const Kind of [ClassC, ClassD])
    scenario(`class ${Kind.traits.name}: a bad add_token is answered with the error, stays open`,
        async (scene) => {
            const relay = await scene.relay();
            const bad = badTokens(relay);
            const device = scene.adopt(new Kind({ relay, tokens: [] }));
            await device.start();
            for (const kind of kinds)
                assert.deepEqual(await device.addToken(bad[kind]), invalid, kind);
            const { controlTexts } = device;
            const id = JSON.parse(controlTexts.at(-1))[0];
            assert.equal(controlTexts.at(-1),
                `[${id},{"message":"invalid access token","code":"E_INVALID_TOKEN"}]`);
            assert.equal(await device.addToken(relay.token({ hosts: [HOST] })), null);
            assert.equal(device.grants.length, 1);
        });

scenario('class G: a bad token gets 401', async (scene) => {
    const relay = await scene.relay();
    const bad = badTokens(relay);
    for (const kind of kinds)
        await assert.rejects(scene.adopt(new ClassG({ relay, token: bad[kind] })).connect(),
            { status: 401 }, kind);
});

for (const scheme of ['Bearer', 'Basic'])
    scenario(`a token in Authorization: ${scheme} lets in, a bad one gets 401`, async (scene) => {
        const relay = await scene.relay();
        const http = await httpService(scene);
        const headers = (token) => ({ Authorization: scheme === 'Bearer' ? `Bearer ${token}`
            : `Basic ${Buffer.from(`anybody:${token}`).toString('base64')}` });
        const bad = scene.adopt(new ClassC({ relay, tokens: [], headers: headers('bad') }));
        await assert.rejects(bad.connect(), { status: 401 });
        const good = new ClassC({ relay, tokens: [], services: { http: http.port },
            headers: headers(relay.token({ hosts: [HOST] })) });
        await scene.adopt(good).start();
        assert.equal((await get({ relay })).status, 200);
    });

for (const algorithm of ['HS256', 'HS384', 'HS512'])
    scenario(`a token signed with ${algorithm} lets in`, async (scene) => {
        const relay = await scene.relay();
        const token = relay.token({ hosts: [HOST], algorithm });
        await scene.device(ClassD, { relay, token });
    });

scenario('the tokens of every age are taken: name, domains, numeric iss, ports as text',
    async (scene) => {
        const relay = await scene.relay({ config: anyTcpPort });
        const iss = Math.floor(Date.now() / 1000);
        const claims = [
            { name: HOST, domains: [HOST] },
            { name: HOST },
            { domains: [HOST] },
            { domains: [HOST], aud: '127.0.0.1:8443' },
            { domains: [HOST], aud: '127.0.0.1', iss },
            { domains: [HOST], ports: [String(await freePort())], aud: 'https://127.0.0.1/', iss },
        ];
        for (const c of claims) {
            const device = await scene.device(ClassB, { relay, token: relay.token(c) });
            await device.stop();
        }
    });

scenario('a token that names nothing is refused as such', async (scene) => {
    const relay = await scene.relay();
    const token = relay.token({ device: { hostname: 'nameless' } });
    const a = scene.adopt(new ClassA({ relay, token }));
    await a.connect();
    assert.equal((await within(a.closed.promise, 'a refusal')).code, 1000);
    assert.deepEqual(a.texts, ['{"error":{"message":"invalid server name","code":"E_INVALID_NAME"}}']);
    const c = await scene.device(ClassC, { relay, tokens: [] });
    assert.equal((await c.addToken(token)).code, 'E_INVALID_NAME');
});

scenario('a device that never shows a token is closed after auth_timeout', async (scene) => {
    const relay = await scene.relay({ config: { auth_timeout: '500ms' } });
    const device = await scene.device(ClassC, { relay, tokens: [] });
    await within(device.closed.promise, 'the close');
});

for (const letter of LETTERS)
    scenario(`class ${letter}: a name of another subject is refused while it is served`,
        async (scene) => {
            const w = await world(scene, 'D', { claims: { sub: 'alice' } });
            const token = w.relay.token({ hosts: [HOST], sub: 'mallory' });
            const thief = scene.adopt(new classes[letter]({ relay: w.relay, token }));
            await assert.rejects(thief.start());
            if (letter === 'A' || letter === 'B')
                assert.equal(JSON.parse(thief.texts[0]).error.code, 'E_NAME_TAKEN');
            if (letter === 'C' || letter === 'D') assert.equal(thief.answers[0].code, 'E_NAME_TAKEN');
            for (let i = 0; i < 4; i++) assert.equal((await get(w)).status, 200);
            assert.equal(thief.opened, 0);

            await thief.stop();
            await w.device.stop();
            await w.relay.untilTunnels((list) => list.length === 0, 'the name to be free');
            await scene.device(classes[letter], { relay: w.relay, token });
        });

scenario('two tokens of one secret without sub are one owner', async (scene) => {
    const w = await world(scene, 'D');
    await another(scene, w, 'B', 'second', { claims: { device: undefined, aud: 'elsewhere' } });
});

scenario('a token that expires ends its streams and frees its names within a second',
    async (scene) => {
        const seconds = 3;
        const w = await world(scene, 'D', { claims: { ttl: seconds, sub: 'alice' } });
        const exp = JSON.parse(Buffer.from(w.token.split('.')[1], 'base64url')).exp * 1000;
        const visitor = await Visitor.connect({ port: w.relay.port });
        await visitor.write(`GET /hold HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
        await visitor.until((text) => text.includes('\r\n\r\n'), 'the held answer');
        assert.ok(Date.now() < exp, 'a slow machine: the token expired before the stream was open');
        await visitor.end(seconds * 1000 + 5000);
        const late = Date.now() - exp;
        assert.ok(late > -50 && late <= 1100, `cut ${late} ms after it expired`);
        const token = w.relay.token({ hosts: [HOST], sub: 'bob' });
        await scene.device(ClassD, { relay: w.relay, token });
        const c = await scene.device(ClassC, { relay: w.relay, tokens: [] });
        assert.equal((await c.addToken(w.token))?.code, 'E_INVALID_TOKEN', 'it is taken again');
    });

for (const letter of LETTERS)
    scenario(`class ${letter}: a live tunnel is cut when its token expires`, async (scene) => {
        const w = await world(scene, letter, { claims: { ttl: 2 } });
        assert.equal((await get(w)).status, 200);
        await protocolTime(3100); // the token's own time
        const answer = await get(w);
        assert.ok([404, 503].includes(answer.status), `${answer.status}`);
    });

for (const Kind of [ClassB, ClassC, ClassD])
    scenario(`class ${Kind.traits.name}: tokens come and go on a live tunnel`, async (scene) => {
        const w = await world(scene, Kind.traits.name);
        const ask = (host) => request({ port: w.relay.port, host });
        const b = w.relay.token({ hosts: ['b.example'] });

        assert.notEqual((await ask('b.example')).status, 200);
        assert.equal(await w.device.addToken(b), null);
        assert.equal((await ask('b.example')).status, 200);
        assert.equal(await w.device.addToken(b), null, 'a token shown twice is no error');

        const visitor = await Visitor.connect({ port: w.relay.port });
        await visitor.write('GET /hold HTTP/1.1\r\nHost: b.example\r\n\r\n');
        await visitor.until((text) => text.includes('\r\n\r\n'), 'the held answer');
        assert.equal(await w.device.deleteToken(b), null);
        await visitor.end();
        assert.notEqual((await ask('b.example')).status, 200);
        assert.equal((await ask(HOST)).status, 200);
        assert.equal((await w.device.deleteToken(b)).code, 'E_INVALID_TOKEN');

        assert.equal(await w.device.addToken(b), null);
        assert.equal(await w.device.deleteToken('*'), null);
        assert.notEqual((await ask('b.example')).status, 200);
        assert.notEqual((await ask(HOST)).status, 200);
    });

for (const letter of ['C', 'D'])
    scenario(`class ${letter}: the grant has one entry for each host and each port`, async (scene) => {
        const relay = await scene.relay({ config: anyTcpPort });
        const ports = [await freePort(), await freePort()];
        const token = relay.token({ hosts: [HOST, '*.b.example'], ports });
        const device = await scene.device(classes[letter], { relay, token });
        const grant = device.grants.at(-1);
        const https = grant.filter(([service]) => service === 'https').map(([, host]) => host);
        const tcp = grant.filter(([service]) => service === 'tcp').map((entry) => Number(entry[2]));
        assert.deepEqual(https.sort(), ['*.b.example', HOST]);
        assert.deepEqual(tcp.sort(), ports.sort());
    });

scenario('a port outside tcp_ports is not granted, and one within closes with its last device', async (scene) => {
    const port = await freePort();
    const relay = await scene.relay({ config: { tcp_ports: [String(port)], tcp_bind: '127.0.0.1' } });
    const c = await scene.device(ClassC, { relay, tokens: [] });
    const other = port === 65535 ? port - 1 : port + 1;
    assert.ok((await c.addToken(relay.token({ ports: [other] })))?.code);
    assert.equal(await c.addToken(relay.token({ hosts: [HOST], ports: [other, port] })), null);
    const granted = c.grants.at(-1).filter(([service]) => service === 'tcp');
    assert.deepEqual(granted.map((entry) => Number(entry[2])), [port]);
    await assert.rejects(Visitor.connect({ port: other }));
    (await Visitor.connect({ port })).destroy();
    await c.stop();
    await relay.untilTunnels((list) => list.length === 0, 'the device to be gone');
    await assert.rejects(Visitor.connect({ port }), { code: 'ECONNREFUSED' });
});

scenario('rvpn token prints one that the relay takes', async (scene) => {
    const relay = await scene.relay({ config: anyTcpPort });
    const port = await freePort();
    const made = await rvpn('token', '--state', relay.state, '--host', HOST, '--host', '*.b.example',
        '--port', String(port), '--ttl', '30d');
    assert.equal(made.code, 0, made.stderr);
    const token = made.stdout.trim();
    assert.match(token, /^[\w-]+\.[\w-]+\.[\w-]+$/);
    relay.tokens.push(token);
    const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
    assert.deepEqual(claims.domains, [HOST, '*.b.example']);
    assert.ok(Math.abs(claims.exp - Date.now() / 1000 - 30 * 86400) < 60);
    await scene.device(ClassD, { relay, token });
    (await Visitor.connect({ port })).destroy();
});

scenario('rvpn token refuses nonsense and says why', async (scene) => {
    const relay = await scene.relay();
    for (const args of [['--host', 'a b.example'], ['--port', '70000'], ['--ttl', 'soon'], []]) {
        const made = await rvpn('token', '--state', relay.state, ...args);
        assert.notEqual(made.code, 0, `${args}`);
        assert.notEqual(made.stderr, '', `${args}`);
    }
});
