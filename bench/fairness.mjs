// A small request again and again, alone or beside visitors that move much.
//
// Whoever asks has a process of its own, which the kernel runs as soon as it wakes up: what it would
// wait for others of the load on the same core is not the relay's doing.
import { Held } from './held.mjs';
import { pinned, runLoad } from './subjects.mjs';

const BULKS = 8;
const ASKS = ['--work', 'ask', '--request', '64', '--answer', '64', '--pause', '1'];
const FAIR = ['--unsent', '32768', '--burst', '65536']; // or the device were what is unfair

// `work` is "alone", or "beside 8 down" or "... up", perhaps with "--elsewhere": in other tunnels.
export async function askBeside({ args, pids }, work, more) {
    const what = work[2], isElsewhere = work.includes('--elsewhere');
    const visit = ['--visit', args[args.indexOf('--relay') + 1]];
    const bulk = ['--work', what ?? 'none', '--visitors', BULKS,
        ...(isElsewhere ? ['--tunnels', BULKS, '--names', BULKS] : [])];
    const held = await Held.start([...pinned, ...args, ...FAIR, ...bulk]);
    try {
        const seen = await runLoad([...pinned, ...(isElsewhere ? args : visit), ...ASKS, '--urgent',
            '--watch', pids.join(','), ...more]);
        return { ...seen, bulk_gbit_s: (await held.counts()).gbit_s };
    } finally {
        await held.end();
    }
}
