// Tunnels and visitors that say nothing, in one relay: what each takes of its memory, all of them of
// its CPU, and what is left once they are gone.
import { Held } from './held.mjs';
import { cpuSeconds, rssBytes, sleep } from './process.mjs';
import { pinned } from './subjects.mjs';

const SETTLE_MS = 2000;
const WATCH_MS = 3000;
const KIB = 1024;

// Steps of one relay, in this order: "N tunnels", "N visitors", "after".
export async function holdIdle(one, [count, what]) {
    const relay = { pid: one.pids[0] };
    const before = rssBytes(relay);
    one.steps ??= { names: count, first: before, held: [] };
    const { names, first, held } = one.steps;
    if (count === 'after') {
        await Promise.all(held.map((load) => load.end()));
        await sleep(2 * SETTLE_MS);
        return { kib: (rssBytes(relay) - first) / KIB, text: 'more than before any came' };
    }
    const args = what === 'tunnels' ? [...one.args, '--work', 'none', '--tunnels', count]
        : ['--visit', one.port, '--work', 'idle', '--visitors', count];
    held.push(await Held.start([...pinned, ...args, '--names', names]));
    await sleep(SETTLE_MS);
    const rss = rssBytes(relay), cpu = cpuSeconds(relay);
    await sleep(WATCH_MS);
    const used = ((cpuSeconds(relay) - cpu) / WATCH_MS) * 1e5;
    return { kib: (rss - before) / KIB / Number(count), text: `all: ${Math.round(rss / KIB / KIB)} MiB, ${
        used.toFixed(1)} % of a core` };
}
