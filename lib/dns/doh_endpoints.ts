/**
 * Public DNS-over-HTTPS services, for `--block-doh`.
 *
 * On port 443 a question to one of these looks like any other HTTPS, so that the only handle is who
 * is asked. The list is best effort: a service of somebody's own is on no list, and an allow list is
 * the boundary that needs none. Listed is what its operator documents as a public resolver, reviewed
 * in November 2026; addresses only where nothing but the resolver answers on them.
 *
 * @module
 */
import { type Address, type Cidr, cidrHas, parseCidr } from "../base/address.ts";
import { NameSet } from "../policy/model/name_set.ts";

export interface DohService {
  readonly operator: string;
  /** Host names; those that begin with a dot take in every name below them. */
  readonly names: readonly string[];
  /** Addresses and blocks. */
  readonly blocks: readonly string[];
}

const DOH_SERVICES: readonly DohService[] = [
  {
    operator: "Google",
    names: ["dns.google", "dns.google.com", "dns64.dns.google", "8888.google"],
    blocks: [
      "8.8.8.8",
      "8.8.4.4",
      "2001:4860:4860::8888",
      "2001:4860:4860::8844",
      "2001:4860:4860::64",
      "2001:4860:4860::6464",
    ],
  },
  {
    operator: "Cloudflare",
    names: [
      ".cloudflare-dns.com",
      ".cloudflare-gateway.com",
      "dns.cloudflare.com",
      "one.one.one.one",
      "1dot1dot1dot1.com",
    ],
    blocks: [
      "1.1.1.0/30",
      "1.0.0.0/30",
      "104.16.248.249",
      "104.16.249.249",
      "162.159.36.1",
      "162.159.46.1",
      "162.159.61.3",
      "162.159.61.4",
      "172.64.41.3",
      "172.64.41.4",
      "2606:4700:4700::/48",
      "2606:4700::6810:f8f9",
      "2606:4700::6810:f9f9",
    ],
  },
  {
    operator: "Quad9",
    names: [".dns.quad9.net", "dns9.quad9.net", "dns10.quad9.net", "dns11.quad9.net"],
    blocks: [
      "9.9.9.9",
      "9.9.9.10",
      "9.9.9.11",
      "149.112.112.0/24",
      "2620:fe::fe",
      "2620:fe::9",
      "2620:fe::10",
      "2620:fe::fe:10",
      "2620:fe::11",
      "2620:fe::fe:11",
    ],
  },
  {
    operator: "Cisco OpenDNS and Umbrella",
    names: [
      ".doh.opendns.com",
      "dns.opendns.com",
      "doh.familyshield.opendns.com",
      "doh.sandbox.opendns.com",
      ".dns.umbrella.com",
      ".doh.umbrella.com",
    ],
    blocks: [
      "208.67.222.222",
      "208.67.220.220",
      "208.67.222.123",
      "208.67.220.123",
      "146.112.41.2",
      "146.112.41.3",
      "2620:119:35::/48",
      "2620:119:53::/48",
    ],
  },
  {
    operator: "AdGuard",
    names: [
      ".adguard-dns.com",
      "dns.adguard.com",
      "dns-family.adguard.com",
      "dns-unfiltered.adguard.com",
    ],
    blocks: [
      "94.140.14.14",
      "94.140.14.15",
      "94.140.14.140",
      "94.140.14.141",
      "94.140.15.15",
      "94.140.15.16",
      "2a10:50c0::/32",
    ],
  },
  {
    operator: "NextDNS",
    names: [".dns.nextdns.io", "doh.nextdns.io", "dns1.nextdns.io", "dns2.nextdns.io"],
    blocks: ["45.90.28.0/24", "45.90.30.0/24", "2a07:a8c0::/32", "2a07:a8c1::/32"],
  },
  {
    operator: "Apple",
    names: ["doh.dns.apple.com", "mask.icloud.com", "mask-h2.icloud.com"],
    blocks: [],
  },
  {
    operator: "CleanBrowsing",
    names: ["doh.cleanbrowsing.org"],
    blocks: ["185.228.168.0/24", "185.228.169.0/24", "2a0d:2a00:1::/48", "2a0d:2a00:2::/48"],
  },
  {
    operator: "Control D",
    names: [".dns.controld.com", "doh.controld.com", "freedns.controld.com"],
    blocks: ["76.76.2.0/24", "76.76.10.0/24", "2606:1a40::/48", "2606:1a40:1::/48"],
  },
  {
    operator: "Mullvad",
    names: [".dns.mullvad.net", "doh.mullvad.net", "adblock.doh.mullvad.net"],
    blocks: ["194.242.2.0/28", "2a07:e340::/64"],
  },
  {
    operator: "DNS4EU",
    names: [".joindns4.eu"],
    blocks: ["86.54.11.0/24", "2a13:1001::86:54:11:0/112"],
  },
  {
    operator: "AliDNS",
    names: ["dns.alidns.com"],
    blocks: ["223.5.5.5", "223.6.6.6", "2400:3200::1", "2400:3200:baba::1"],
  },
  {
    operator: "DNSPod",
    names: [".doh.pub", ".dot.pub", "dns.pub"],
    blocks: ["1.12.12.12", "120.53.53.53", "119.29.29.29", "2402:4e00::"],
  },
  {
    operator: "Yandex",
    names: ["common.dot.dns.yandex.net", "safe.dot.dns.yandex.net", "family.dot.dns.yandex.net"],
    blocks: ["77.88.8.8", "77.88.8.1", "77.88.8.88", "77.88.8.2", "77.88.8.7", "77.88.8.3"],
  },
  {
    operator: "DNS.SB",
    names: ["doh.dns.sb", "doh.sb", "dot.sb"],
    blocks: ["185.222.222.222", "45.11.45.11", "2a09::", "2a11::"],
  },
  {
    operator: "CIRA Canadian Shield",
    names: [".canadianshield.cira.ca"],
    blocks: ["149.112.121.0/24", "149.112.122.0/24", "2620:10a:80bb::/48", "2620:10a:80bc::/48"],
  },
  {
    operator: "CZ.NIC",
    names: ["odvr.nic.cz"],
    blocks: ["193.17.47.1", "185.43.135.1", "2001:148f:fffe::1", "2001:148f:ffff::1"],
  },
  {
    operator: "SWITCH",
    names: ["dns.switch.ch"],
    blocks: ["130.59.31.248", "130.59.31.251", "2001:620:0:ff::2", "2001:620:0:ff::3"],
  },
  {
    operator: "Digitale Gesellschaft",
    names: ["dns.digitale-gesellschaft.ch"],
    blocks: ["185.95.218.42", "185.95.218.43", "2a05:fc84::42", "2a05:fc84::43"],
  },
  { operator: "IIJ", names: ["public.dns.iij.jp"], blocks: ["103.2.57.5", "103.2.57.6"] },
  {
    operator: "TWNIC Quad 101",
    names: ["dns.twnic.tw"],
    blocks: ["101.101.101.101", "101.102.103.104", "2001:de4::101", "2001:de4::102"],
  },
  {
    operator: "UncensoredDNS",
    names: ["anycast.uncensoreddns.org", "unicast.uncensoreddns.org"],
    blocks: ["91.239.100.100", "89.233.43.71", "2001:67c:28a4::", "2a01:3a0:53:53::"],
  },
  {
    operator: "Wikimedia",
    names: ["wikimedia-dns.org"],
    blocks: ["185.71.138.138", "2001:67c:930::1"],
  },
  {
    operator: "Freifunk München",
    names: ["doh.ffmuc.net", "dot.ffmuc.net"],
    blocks: ["5.1.66.255", "185.150.99.255", "2001:678:e68:f000::", "2001:678:ed0:f000::"],
  },
  { operator: "LibreDNS", names: ["doh.libredns.gr"], blocks: ["116.202.176.26"] },
  { operator: "Applied Privacy", names: ["doh.applied-privacy.net"], blocks: ["146.255.56.98"] },
  { operator: "Andrews & Arnold", names: ["dns.aa.net.uk"], blocks: [] },
  { operator: "dnsforge", names: ["dnsforge.de", "clean.dnsforge.de"], blocks: [] },
  { operator: "BlahDNS", names: [".blahdns.com"], blocks: [] },
  { operator: "Njalla", names: ["dns.njal.la"], blocks: ["95.215.19.53"] },
  { operator: "RethinkDNS", names: [".rethinkdns.com"], blocks: [] },
  { operator: "Comcast", names: ["doh.xfinity.com"], blocks: [] },
  { operator: "360", names: ["doh.360.cn", "dns.360.cn"], blocks: [] },
  { operator: "Tiarap", names: ["doh.tiar.app", "jp.tiar.app"], blocks: [] },
];

/** The names of all services. */
export function dohNames(): NameSet {
  const set = new NameSet();
  for (const name of DOH_SERVICES.flatMap(({ names }) => names)) {
    if (name.startsWith(".")) set.addSuffix(name.slice(1));
    else set.addName(name);
  }
  return set;
}

/** The operator of the service at this address, or null. */
export function dohOperator(address: Address): string | null {
  return blocks().find(({ block }) => cidrHas(block, address))?.operator ?? null;
}

let parsed: readonly { readonly operator: string; readonly block: Cidr }[] | undefined;

function blocks() {
  return parsed ??= DOH_SERVICES.flatMap(({ operator, blocks }) =>
    blocks.map((text) => {
      const block = parseCidr(text);
      if (block === null) throw new TypeError(`Cannot list ${text} of ${operator}: no block`);
      return { operator, block };
    })
  );
}
