// A device and its services in a process of their own, for tests that move gigabytes.
// Started by deviceProcess(); ends when the test's end of the channel does.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { classes } from './devices.mjs';
import { httpService, httpsService, manualService } from './services.mjs';
import { deferred, within } from './wait.mjs';

const self = fileURLToPath(import.meta.url);

// {child, ask(): {received, sent, pauses, violations}}
export async function deviceProcess(scene, letter, { relay, hosts, mute = false }) {
    const token = relay.token({ hosts });
    const child = fork(self, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const answers = [];
    const over = deferred();
    child.on('message', (m) => answers.shift()?.resolve(m));
    child.on('exit', (code) => {
        answers.forEach((a) => a.reject(new Error(`the device process ended: ${code}`)));
        over.resolve();
    });
    scene.after(async () => {
        if (child.connected) child.disconnect();
        await within(over.promise, 'a device process to end').catch(() => child.kill('SIGKILL'));
    });
    const ask = (question) => {
        const answer = deferred();
        answers.push(answer);
        child.send(question);
        return within(answer.promise, `an answer of the device process to ${question.what}`);
    };
    const { error, ca } = await ask({ what: 'start', letter, port: relay.port, relayCa: relay.ca, token, mute });
    if (error) throw new Error(error);
    return { child, ca, ask: () => ask({ what: 'state' }) };
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
                const http = await httpService(scene);
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
