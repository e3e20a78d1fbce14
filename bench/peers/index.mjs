// The tunnels that rvpn is measured beside.  Each module's default export is one peer or several:
//   name             with "plain" if nothing is encrypted between its relay and its client
//   warm             seconds that it needs once the service is there, if it needs any
//   install()        resolves with the version, or rejects with why there is none
//   start({ servicePort, folder, cpus })   resolves once a visitor may come with
//       { visitPort, relayPids, clientPids, stop() }: what connects to visitPort of 127.0.0.1
//       speaks with servicePort there, through the peer's own relay and its own client.  `cpus`
//       may hold `relay` and `client`, lists of cores as taskset takes them.  The service may see
//       a connection or two that say nothing, when start() looks whether the way is open.
// Installed by name by the ordinary package managers (go, cargo, npm, apt) in the folder rvpn-bench
// of $XDG_CACHE_HOME or ~/.cache, of the releases in versions.mjs, once.  How each is set up, and
// why that is its best, stands at the head of its module.
import absent from './absent.mjs';
import bore from './bore.mjs';
import chisel from './chisel.mjs';
import frp from './frp.mjs';
import localtunnel from './localtunnel.mjs';
import rathole from './rathole.mjs';
import ssh from './ssh.mjs';

export const peers = [ssh, frp, chisel, rathole, bore, localtunnel, absent].flat();
