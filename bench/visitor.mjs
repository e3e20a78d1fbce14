// A good visitor in a process of its own, who asks through a device for 200 bytes again and again:
// on a connection that stays, and on a new one each time.
import { fork } from 'node:child_process';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { ANSWER_BYTES, answerOf, smallRequest } from './device.mjs';
import { HOST, adopt, sleep } from './process.mjs';

const EVERY_MS = 5; // the next request, counted from the last one
const RELAY = '127.0.0.1';
const self = fileURLToPath(import.meta.url);

// Milliseconds from the request to the whole answer.
function exchange(socket) {
    return new Promise((resolve, reject) => {
        const from = performance.now();
        let got = 0;
        const onData = (data) => {
            got += data.length;
            if (got < ANSWER_BYTES) return;
            socket.off('data', onData);
            resolve(performance.now() - from);
        };
        socket.on('data', onData);
        socket.once('error', reject);
        socket.once('close', () => reject(new Error('closed')));
        socket.write(smallRequest(HOST));
    });
}

async function visit(port) {
    const taken = { kept: [], fresh: [], failed: 0 };
    const open = () => net.connect({ port, host: RELAY }).setNoDelay(true);
    const loop = async (once) => {
        for (;;) {
            await once().catch(() => taken.failed++);
            await sleep(EVERY_MS);
        }
    };
    let kept = open();
    loop(async () => {
        if (kept.destroyed) kept = open();
        taken.kept.push(await exchange(kept));
        kept.removeAllListeners('error').removeAllListeners('close');
    });
    loop(async () => {
        const from = performance.now();
        const socket = open();
        await exchange(socket).finally(() => socket.resetAndDestroy()); // no half-close to wait for
        taken.fresh.push(performance.now() - from);
    });
    process.on('message', () => {
        process.send({ ...taken });
        Object.assign(taken, { kept: [], fresh: [], failed: 0 });
    });
    process.send('in');
}

// A child that visits `port` until it is ended.
export async function forkVisitor(port) {
    const child = fork(self, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    adopt(child);
    child.send(port);
    await answerOf(child);
    return child;
}

// {kept, fresh: milliseconds of each request, failed} since it was last asked.
export function askVisitor(child) {
    const answer = answerOf(child);
    child.send('?');
    return answer;
}

if (process.argv[1] === self) {
    process.on('disconnect', () => process.exit(0));
    process.once('message', visit);
}
