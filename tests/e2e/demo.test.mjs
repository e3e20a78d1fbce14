// The demonstration page, its two WebSockets, and the discovery document.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import WebSocket from 'ws';
import { scenario } from './lib/scene.mjs';
import { deferred, until, within } from './lib/wait.mjs';
import { world } from './lib/world.mjs';

const CHROMIUM = process.env.RVPN_CHROMIUM ?? '/usr/bin/chromium';
const noChromium = existsSync(CHROMIUM) ? false : `no ${CHROMIUM}`;
const dwell = { config: { dwell: '300ms' } };

async function open(scene, relay, path_, options = {}) {
    const ws = new WebSocket(relay.wss(path_), { ca: relay.ca, servername: '', ...options });
    scene.after(() => ws.terminate());
    ws.heard = [];
    const d = deferred();
    ws.on('message', (data) => ws.heard.push(data.toString()));
    ws.on('open', d.resolve).on('error', d.reject);
    ws.on('unexpected-response', (_, r) => d.reject(new Error(`status ${r.statusCode}`)));
    await within(d.promise, path_);
    return ws;
}

scenario('/ws/client says "This is a test" every dwell and the log counts both ways',
    async (scene) => {
        const relay = await scene.relay(dwell);
        const ws = await open(scene, relay, '/ws/client');
        await relay.waitFor((e) => /register/.test(e.event));
        ws.send('fourteen bytes');
        const message = await relay.waitFor((e) => /message/.test(e.event));
        assert.equal(Number(message.fields.read ?? message.fields.bytes_read), 14);
        assert.ok(!relay.log.includes('fourteen bytes'), 'payload in the log');
        await until(() => ws.heard.filter((m) => m.includes('This is a test')).length >= 2, 'two tests');
        await relay.waitFor((e) => /dwell/.test(e.event));
    });

scenario('/ws/admin opens with an admin token only', async (scene) => {
    const relay = await scene.relay(dwell);
    await assert.rejects(open(scene, relay, '/ws/admin'), /401/);
    const device = relay.token({ hosts: ['a.example'] });
    await assert.rejects(open(scene, relay, '/ws/admin', { headers: { Authorization: `Bearer ${device}` } }),
        /40[13]/);
    const ws = await open(scene, relay, '/ws/admin',
        { headers: { Authorization: `Bearer ${relay.adminToken()}` } });
    await until(() => ws.heard.some((m) => m.includes('This is a test')), 'a test');
});

scenario('a page brings its admin token in the first message, never in a URL or cookie', async (scene) => {
    const relay = await scene.relay(dwell);
    const token = relay.adminToken();
    const page = () => open(scene, relay, '/ws/admin', { origin: `https://127.0.0.1:${relay.port}`,
        headers: { Cookie: `access_token=${token}; auth=${token}` } });
    const closed = (ws) => within(new Promise((resolve) => ws.on('close', resolve)), 'the close');
    for (const first of [{ auth: 'nonsense' }, { auth: relay.token({ hosts: ['a.example'] }) }, {}]) {
        const ws = await page();
        ws.send(JSON.stringify(first));
        assert.equal(await closed(ws), 1008);
        assert.deepEqual(ws.heard, []);
    }
    const ws = await page();
    ws.send(JSON.stringify({ auth: token }));
    await until(() => ws.heard.some((m) => m.includes('This is a test')), 'a test');
});

scenario('the echo endpoint exists only when asked for', async (scene) => {
    const relay = await scene.relay();
    const ws = await open(scene, relay, '/ws/echo').catch(() => null);
    // Any path takes devices: without `echo` it is one of those, and says hello.
    if (ws) {
        ws.send('x');
        await until(() => ws.heard.length > 0 || ws.readyState > 1, 'an answer');
        assert.ok(!ws.heard.includes('x'));
    }
});

scenario('the discovery document is what the telebit daemon reads', async (scene) => {
    const w = await world(scene, 'C');
    for (const clear of [false, true]) {
        const answer = await w.relay.fetch('/_apis/telebit.cloud/index.json', { clear });
        assert.equal(answer.status, 200);
        assert.match(answer.headers['content-type'], /^application\/json/);
        const document = JSON.parse(answer.body);
        assert.equal(document.tunnel.method, 'wss');
        assert.equal(typeof document.tunnel.pathname, 'string');
        const host = document.api_host.replace(':hostname', 'relay.test');
        assert.match(host, new RegExp(`^relay\\.test(:${w.relay.port})?$`));
    }
});

scenario('the page and its parts come with the headers a page needs', async (scene) => {
    const relay = await scene.relay();
    const page = await relay.fetch('/');
    assert.equal(page.status, 200);
    assert.match(page.headers['content-type'], /^text\/html/);
    assert.match(page.headers['content-security-policy'] ?? '', /default-src|script-src/);
    assert.equal(page.headers['x-content-type-options'], 'nosniff');
    assert.ok(!/https?:\/\/(?!localhost|127)/.test(page.body.replace(/xmlns="[^"]*"/g, '')),
        'the page loads something from elsewhere');
    assert.equal((await relay.fetch('/no/such/page')).status, 404);
    assert.ok([400, 404].includes((await relay.fetch('/../../etc/passwd')).status));
    assert.equal((await relay.fetch('/', { method: 'HEAD' })).body, '');
});

scenario('the page in Chromium: start, send, counters, test messages', { ms: 60_000, skip: noChromium },
    async (scene) => {
        const relay = await scene.relay(dwell);
        const folder = process.env.RVPN_E2E_SCREENSHOTS ?? scene.folder();
        const browser = await chromium.launch({
            executablePath: CHROMIUM, headless: true,
            args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
                '--disable-background-networking', '--disable-component-update', '--disable-sync'],
        });
        scene.after(() => browser.close());
        for (const [name, options] of [
            ['light', { colorScheme: 'light' }],
            ['dark-phone', { colorScheme: 'dark', viewport: { width: 390, height: 780 } }],
        ]) {
            const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
            const page = await context.newPage();
            const troubles = [];
            page.on('pageerror', (err) => troubles.push(String(err)));
            page.on('console', (m) => m.type() === 'error' && troubles.push(m.text()));
            await page.goto(`https://127.0.0.1:${relay.port}/`);

            const start = page.getByRole('button', { name: /start websocket/i });
            const colour = () => page.locator('#start').evaluate((e) => getComputedStyle(e).backgroundColor);
            const before = await colour();
            await start.focus();
            await page.keyboard.press('Enter'); // by keyboard, as without a mouse
            await page.waitForFunction((was) => getComputedStyle(document.querySelector('#start'))
                .backgroundColor !== was, before);
            const [r, g, b] = (await colour()).match(/\d+/g).map(Number);
            assert.ok(g > r && g > b, `the button is ${await colour()}, not green`);

            await page.locator('#message').fill('hello relay');
            await page.getByRole('button', { name: /^send$/i }).click();
            const number = (id) => page.locator(id).textContent().then((t) => Number(t.replace(/\D/g, '')));
            await until(async () => await number('#bytes-read') === 11, '11 bytes read');
            await page.waitForFunction(() => document.querySelector('#messages').textContent
                .includes('This is a test'));
            const written = await number('#bytes-written');
            await until(async () => await number('#bytes-written') >= written + 14, 'the counter to run');
            assert.equal(await page.locator('#messages').getAttribute('aria-live') !== null ||
                await page.locator('#messages').getAttribute('role') === 'log', true);
            const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
            assert.equal(wide, false, 'the page scrolls sideways');
            await page.screenshot({ path: path.join(folder, `demo-${name}.png`), fullPage: true });
            assert.deepEqual(troubles, []);
            await context.close();
        }
    });
