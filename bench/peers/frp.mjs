// frp: with and without its multiplexer (yamux), with and without TLS between frpc and frps.
// At its best: no compression, no encryption of its own, log level error; without the multiplexer
// 64 connections are kept in reserve.
import { freePort } from '../process.mjs';
import { accepts, goBuild, installed, open, until, write } from './lib.mjs';
import versions from './versions.mjs';

const install = () => installed('frp', versions.frp, (folder) => goBuild(folder, {
    module: 'github.com/fatedier/frp', version: versions.frp, packages: ['/cmd/frps', '/cmd/frpc'],
    replace: [`github.com/hashicorp/yamux=github.com/fatedier/yamux@${versions.yamux}`],
    tags: 'noweb' })); // the module comes without the built pages of its dashboard

const relayText = (port, { mux, tls }) => `bindAddr = "127.0.0.1"
bindPort = ${port}
proxyBindAddr = "127.0.0.1"
log.level = "error"
transport.tcpMux = ${mux}
transport.maxPoolCount = 64
transport.tls.force = ${tls}
`;

const clientText = (port, visitPort, servicePort, { mux, tls }) => `serverAddr = "127.0.0.1"
serverPort = ${port}
log.level = "error"
transport.tcpMux = ${mux}
transport.poolCount = ${mux ? 0 : 64}
transport.tls.enable = ${tls}
[[proxies]]
name = "bench"
type = "tcp"
localIP = "127.0.0.1"
localPort = ${servicePort}
remotePort = ${visitPort}
`;

async function start({ servicePort, folder, cpus }, kind) {
    const home = await install();
    const [port, visitPort] = [await freePort(), await freePort()];
    return open(cpus, async (launch) => {
        const relay = launch('relay', `${home}/bin/frps`,
            ['-c', write(folder, 'frps.toml', relayText(port, kind))]);
        await until(() => accepts(port), relay);
        const client = launch('client', `${home}/bin/frpc`,
            ['-c', write(folder, 'frpc.toml', clientText(port, visitPort, servicePort, kind))]);
        await until(() => accepts(visitPort), relay, client);
        return visitPort;
    });
}

export default [[false, false], [false, true], [true, false], [true, true]].map(([mux, tls]) => ({
    name: `frp ${mux ? 'mux' : 'no-mux'} ${tls ? 'TLS' : 'plain'}`,
    install: () => install().then(() => versions.frp),
    start: (options) => start(options, { mux, tls }),
}));
