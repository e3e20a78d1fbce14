// What the relay itself answers, beyond the demonstration: who may, and what is not sent twice.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import WebSocket from 'ws';
import { scenario } from './lib/scene.mjs';
import { deferred, until, within } from './lib/wait.mjs';
import { request } from './lib/visitors.mjs';
import { get, world } from './lib/world.mjs';

const CHROMIUM = process.env.RVPN_CHROMIUM ?? '/usr/bin/chromium';
const noChromium = existsSync(CHROMIUM) ? false : `no ${CHROMIUM}`;
const ADMIN = 'a token with scope "admin"';

// {status} of a refusal, or {ws, heard, closed} of an open WebSocket.
function dial(scene, relay, path, options = {}) {
    const ws = new WebSocket(relay.wss(path), { ca: relay.ca, servername: '', ...options });
    const d = deferred();
    const closed = deferred();
    const heard = [];

    scene.after(() => ws.terminate());
    ws.on('message', (data) => heard.push(data.toString()));
    ws.on('open', () => d.resolve({ ws, heard, closed: closed.promise }));
    ws.on('close', (code, reason) => closed.resolve({ code, reason: reason.toString() }));
    ws.on('unexpected-response', (_, response) => d.resolve({ status: response.statusCode }));
    ws.on('error', d.reject);
    return within(d.promise, path);
}

const own = (relay) => ({ origin: `https://127.0.0.1:${relay.port}` });

scenario('a page that is known already is not sent again', async (scene) => {
    const relay = await scene.relay();
    const first = await relay.fetch('/demo.js');
    const { etag } = first.headers;
    assert.match(etag, /^"[0-9a-f]{32}"$/);
    for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
        const again = await relay.fetch('/demo.js', { headers: { 'If-None-Match': known } });
        assert.deepEqual([again.status, again.body, again.headers.etag], [304, '', etag], known);
    }
    const other = await relay.fetch('/demo.js', { headers: { 'If-None-Match': '"x"' } });
    assert.deepEqual([other.status, other.body], [200, first.body]);
});

scenario(`the list of tunnels needs ${ADMIN}`, async (scene) => {
    const w = await world(scene, 'C');
    const ask = (token) => w.relay.fetch('/api/tunnels',
        { headers: token ? { Authorization: `Bearer ${token}` } : {} });
    const none = await ask();
    assert.equal(none.status, 401);
    assert.match(none.headers['www-authenticate'], /^Bearer/);
    assert.equal((await ask('rubbish')).status, 401);
    assert.equal((await ask(w.token)).status, 403);
    const list = JSON.parse((await ask(w.relay.adminToken())).body);
    assert.equal(list.counts.tunnels, 1);
    assert.equal(list.tunnels[0].names[0].host, 'a.example');
    assert.ok(Math.abs(Date.parse(list.tunnels[0].since) - Date.now()) < 60_000);
});

scenario(`what the relay has done and refused needs ${ADMIN}`, async (scene) => {
    const w = await world(scene, 'C', { config: { workers: 2 } });
    const status = async (token) => (await w.relay.fetch('/api/relay',
        { headers: token ? { Authorization: `Bearer ${token}` } : {} })).status;
    assert.deepEqual([await status(), await status('rubbish'), await status(w.token)],
        [401, 401, 403]);
    assert.equal((await get(w)).status, 200);
    for (let i = 0; i < 4; i++)
        assert.equal((await request({ port: w.relay.port, host: 'none.example' })).status, 404);
    const counts = await w.relay.counts();
    assert.deepEqual([counts.workers, counts.tunnels, counts.refused.unknown_name], [2, 1, 4]);
    assert.ok(counts.accepted >= 10, `${counts.accepted} accepted`);
});

scenario('a page of another site gets no WebSocket of the demonstration', async (scene) => {
    const relay = await scene.relay();
    for (const path of ['/ws/client', '/ws/admin'])
        for (const origin of ['https://evil.example', 'null', 'file://'])
            assert.equal((await dial(scene, relay, path, { origin })).status, 403, path + origin);
    assert.ok((await dial(scene, relay, '/ws/client', own(relay))).ws);
});

scenario(`a page brings ${ADMIN} in its first message`, async (scene) => {
    const relay = await scene.relay({ config: { dwell: '300ms' } });
    const good = await dial(scene, relay, '/ws/admin', own(relay));
    good.ws.send(JSON.stringify({ auth: relay.adminToken() }));
    await until(() => good.heard.includes('This is a test'), 'a test message');
    const [registered] = relay.find('register');
    assert.equal(registered.fields.admin, 'true');
    for (const first of ['hello', JSON.stringify({ auth: relay.token({ hosts: ['a.example'] }) })]) {
        const bad = await dial(scene, relay, '/ws/admin', own(relay));
        bad.ws.send(first);
        assert.equal((await within(bad.closed, 'the close')).code, 1008);
        assert.deepEqual(bad.heard, []);
    }
    assert.equal(relay.find('register').length, 1);
});

scenario('the relay says goodbye to its own pages with 1001', async (scene) => {
    const relay = await scene.relay();
    const page = await dial(scene, relay, '/ws/client');
    await until(() => page.heard.length, 'the first totals');
    relay.signal('SIGTERM');
    assert.equal((await within(page.closed, 'the goodbye')).code, 1001);
});

scenario('the admin page in Chromium: its Auth box opens the WebSocket, or says why not',
    { ms: 60_000, skip: noChromium }, async (scene) => {
        const relay = await scene.relay({ config: { dwell: '300ms' } });
        const browser = await chromium.launch({
            executablePath: CHROMIUM, headless: true,
            args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
                '--disable-background-networking', '--disable-component-update', '--disable-sync'],
        });
        scene.after(() => browser.close());
        const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
        const troubles = [];
        page.on('pageerror', (err) => troubles.push(String(err)));
        page.on('console', (m) => m.type() === 'error' && troubles.push(m.text()));
        await page.goto(`https://127.0.0.1:${relay.port}/admin`);
        await page.getByLabel('Auth').fill(relay.token({ hosts: ['a.example'] }));
        await page.getByRole('button', { name: 'Start WebSocket' }).click();
        await page.waitForFunction(() => /1008/.test(document.querySelector('#state').textContent));
        await page.getByLabel('Auth').fill(relay.adminToken());
        await page.keyboard.press('Enter');
        await page.waitForFunction(() => document.querySelector('#messages').textContent
            .includes('This is a test'));
        await page.locator('#start').click();
        await page.waitForFunction(() => document.querySelector('#state').textContent
            === 'Disconnected');
        assert.equal(await page.locator('#start').getAttribute('aria-pressed'), 'false');
        assert.ok(!page.url().includes('eyJ'));
        assert.deepEqual(troubles, []);
    });
