// A device and its services in a process of their own, for tests that move gigabytes or freeze it.
// Started by deviceProcess(); ends when the test's end of the channel does.
import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { classes } from './devices.mjs';
import { httpService, httpsService, manualService } from './services.mjs';
import { deferred, until, within } from './wait.mjs';

const self = fileURLToPath(import.meta.url);

// Whether the kernel has stopped the process.
const isFrozen = (pid) => /\) [Tt] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));

// {child, ask(): {received, sent, pauses, violations}, freeze(), thaw()}; its HTTP service says
// `text`.
export async function deviceProcess(scene, letter, { relay, hosts, text, mute = false,
    token = relay.token({ hosts }) }) {
    const child = fork(self, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const answers = [];
    const over = deferred();
    child.on('message', (m) => answers.shift()?.resolve(m));
    child.on('exit', (code) => {
        answers.forEach((a) => a.reject(new Error(`the device process ended: ${code}`)));
        over.resolve();
    });
    scene.after(async () => {
        child.kill('SIGCONT');
        if (child.connected) child.disconnect();
        await within(over.promise, 'a device process to end').catch(() => child.kill('SIGKILL'));
    });
    const ask = (question) => {
        const answer = deferred();
        answers.push(answer);
        child.send(question);
        return within(answer.promise, `an answer of the device process to ${question.what}`);
    };
    const { error, ca } = await ask({ what: 'start', letter, port: relay.port, relayCa: relay.ca,
        token, text, mute });
    if (error) throw new Error(error);
    return {
        child, ca, ask: () => ask({ what: 'state' }),
        freeze() {
            child.kill('SIGSTOP');
            return until(() => isFrozen(child.pid), 'the device process to be frozen');
        },
        thaw: () => child.kill('SIGCONT'),
    };
}

async function serve() {
    const closers = [];
    const scene = { after: (close) => closers.push(close) };
    let device;
    process.on('disconnect', async () => {
        await device?.stop();
        closers.forEach((close) => close());
    });
    process.on('message', async (m) => {
        try {
            if (m.what === 'start') {
                const http = await httpService(scene, m.text);
                const https = await (m.mute ? manualService : httpsService)(scene);
                http.mute = m.mute;
                device = new classes[m.letter]({ port: m.port, ca: m.relayCa, token: m.token,
                    services: { http: http.port, https: https.port } });
                await device.start();
                process.send({ ca: https.ca });
            } else {
                const { received, sent, pauses, violations } = device;
                process.send({ received, sent, pauses, violations });
            }
        } catch (err) {
            process.send({ error: err.stack });
        }
    });
}

if (process.argv[1] === self && process.send) serve();
