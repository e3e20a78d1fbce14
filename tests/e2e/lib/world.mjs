// The usual cast: one relay, services, and a device of some class that serves a.example.
import { classes } from './devices.mjs';
import { freePort } from './relay.mjs';
import { bannerService, echoService, httpService, httpsService } from './services.mjs';
import { request } from './visitors.mjs';

export const HOST = 'a.example';
export const LETTERS = Object.keys(classes);

// Any unprivileged port may be asked for in a token, and a stream whose visitor has ended does not
// stay for a minute.
export const anyTcpPort = { tcp_ports: ['1024-65535'], tcp_bind: '127.0.0.1', half_close: '1s' };

export async function services(scene) {
    const [http, https, echo, banner] = await Promise.all([httpService(scene),
        httpsService(scene), echoService(scene), bannerService(scene)]);
    return { http, https, echo, banner };
}

// {relay, device, http, https, echo, ports}: a class-`letter` device that serves a.example.
export async function world(scene, letter, { config, claims = {}, hosts = [HOST], tcp = false,
    device: options = {}, relay: relayOptions = {} } = {}) {
    const relay = await scene.relay({ config: { ...anyTcpPort, ...config }, ...relayOptions });
    const all = await services(scene);
    const port = tcp ? await freePort() : undefined;
    const token = relay.token({ hosts, ports: tcp ? [port] : undefined, ...claims });
    const device = await scene.device(classes[letter], {
        relay, token, ...options,
        services: { http: all.http.port, https: all.https.port, tcp: all[tcp || 'echo'].port },
    });
    return { relay, device, tcpPort: port, token, ...all };
}

// The same for one more device of the relay of `w`; its HTTP service says `text`.
export async function another(scene, w, letter, text, { claims = {}, hosts = [HOST], ...options } = {}) {
    const http = await httpService(scene, text);
    const device = await scene.device(classes[letter], {
        relay: w.relay, token: w.relay.token({ hosts, ...claims }),
        services: { http: http.port, https: w.https.port }, ...options,
    });
    return { device, http };
}

export const get = (w, path = '/', options = {}) =>
    request({ port: w.relay.port, host: HOST, path, ...options });

export const getTls = (w, path = '/', options = {}) =>
    request({ port: w.relay.port, host: HOST, path, ca: w.https.ca, ...options });
