// `make run` without make: examples/run.sh, its printed guide followed line by line, Ctrl-C.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { binary } from './lib/paths.mjs';
import { freePort } from './lib/relay.mjs';
import { scenario } from './lib/scene.mjs';
import { deferred, until, within } from './lib/wait.mjs';

const script = fileURLToPath(new URL('../../examples/run.sh', import.meta.url));

function start(scene, env) {
    const child = spawn(script, { env: { ...process.env, RVPN_BIN: binary, ...env },
        stdio: ['ignore', 'pipe', 'pipe'] });
    const run = { child, out: '', err: '', ended: deferred() };
    child.stdout.setEncoding('utf8').on('data', (s) => (run.out += s));
    child.stderr.setEncoding('utf8').on('data', (s) => (run.err += s));
    child.on('close', (code, signal) => {
        run.over = true;
        run.ended.resolve({ code, signal });
    });
    scene.after(async () => {
        child.kill('SIGTERM');
        await within(run.ended.promise, 'run.sh to end');
    });
    return run;
}

function shell(command) {
    return new Promise((resolve) => execFile('bash', ['-c', command], (err, stdout, stderr) =>
        resolve({ code: err?.code ?? 0, stdout, stderr })));
}

// The processes whose command line names `what`.
async function running(what) {
    const { stdout } = await shell(`pgrep -f -- '${what}' || true`);
    return stdout.split('\n').filter((pid) => pid && existsSync(`/proc/${pid}/cmdline`) &&
        !readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('bash\0-c'));
}

for (const signal of ['SIGINT', 'SIGTERM'])
    scenario(`the guide of examples/run.sh holds, ${signal} ends it all`, { ms: 60_000 },
        async (scene) => {
            const state = path.join(scene.folder(), 'example state');
            const port = await freePort();
            const run = start(scene, { RVPN_PORT: String(port), RVPN_STATE: state });
            await until(() => run.over || run.out.includes('Ctrl-C'), 'the guide', 50_000);
            assert.ok(!run.over, `${run.out}\n${run.err}`);
            assert.match(run.out, new RegExp(`https://127\\.0\\.0\\.1:${port}/`));
            assert.match(run.out, new RegExp(`https://hello\\.localhost:${port}/`));

            const curls = run.out.replace(/\\\n/g, '').split('\n').map((l) => l.trim())
                .filter((l) => l.startsWith('curl '));
            assert.equal(curls.length, 3);
            const [http, tls, admin] = await Promise.all(curls.map((c) => shell(`${c} -sS`)));
            assert.match(http.stdout, /Hello from behind the relay[^]*Clear HTTP/, http.stderr);
            assert.match(tls.stdout, /Hello from behind the relay[^]*passed every byte on/, tls.stderr);
            const { tunnels } = JSON.parse(admin.stdout || admin.stderr);
            assert.equal(tunnels.length, 1);
            assert.equal(tunnels[0].names[0].host, 'hello.localhost');
            const page = await shell(`curl -sSk https://127.0.0.1:${port}/`);
            assert.match(page.stdout, /<html/i);

            run.child.kill(signal);
            const { code } = await within(run.ended.promise, 'run.sh to end');
            assert.equal(code, 0);
            assert.deepEqual(await running(state), []);
        });

scenario('examples/run.sh says so when the port is taken', { ms: 60_000 }, async (scene) => {
    const holder = net.createServer();
    await new Promise((resolve) => holder.listen(0, '127.0.0.1', resolve));
    scene.after(() => holder.close());
    const run = start(scene, { RVPN_PORT: String(holder.address().port),
        RVPN_STATE: path.join(scene.folder(), 'state') });
    const { code } = await within(run.ended.promise, 'run.sh to end');
    assert.notEqual(code, 0);
    assert.match(run.err, /run\.sh: the relay ended/);
});

scenario('examples/run.sh says so when there is no relay to run', { ms: 60_000 }, async (scene) => {
    const run = start(scene, { RVPN_BIN: '/nonexistent/rvpn' });
    const { code } = await within(run.ended.promise, 'run.sh to end');
    assert.notEqual(code, 0);
    assert.match(run.err, /run\.sh: there is no \/nonexistent\/rvpn/);
});
