/**
 * Which addresses the bridge may be made to talk to. A webhook's URL must not be a way into what only the pod itself can
 * reach: loopback, the node's link-local services, a cloud's metadata. Private ranges are allowed: receivers in the
 * cluster are private.
 *
 * Checked is the address that is really dialled, so a name that resolves differently the second time gains nothing.
 * Traps: a name may have several addresses, and any of them may be dialled; IP literals are never looked up; `0x7f.1`
 * is one too, but URL has normalised it; `[::1]` is no IP address to `net.isIP` until its brackets are off.
 */
import dns from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { DeliveryError } from '../../src/delivery/sink.ts'

/** CIDRs or single addresses. */
export interface NetworkRules {
  /** Exceptions from what is denied by default. */
  readonly allow: readonly string[]
  /** Denied as well; goes before `allow`. */
  readonly deny: readonly string[]
}

/** What no webhook reaches unless `network.allow` says so. */
export const deniedByDefault: readonly string[] = [
  '0.0.0.0/8', // unspecified: Linux connects to itself
  '127.0.0.0/8', // loopback
  '169.254.0.0/16', // link-local, metadata of most clouds
  '100.100.100.200/32', // metadata, Alibaba Cloud
  '168.63.129.16/32', // host agent, Azure
  '192.0.0.192/32', // metadata, Oracle Cloud
  '224.0.0.0/4', // multicast
  '255.255.255.255/32', // broadcast
  '::/96', // unspecified, loopback, and IPv4 in its deprecated embedding
  '64:ff9b::7f00:0/104', // loopback through NAT64
  '64:ff9b::a9fe:0/112', // link-local through NAT64
  'fd00:ec2::254/128', // metadata, AWS
  'fd20:ce::254/128', // metadata, Google Cloud
  'fe80::/10', // link-local
  'ff00::/8', // multicast
]

export class NetworkGuard {
  readonly #default = blockList('the default', deniedByDefault)
  readonly #allow: BlockList
  readonly #deny: BlockList
  readonly #resolve: typeof dns.lookup

  /** Throws a RangeError for a rule that is no CIDR. */
  constructor(rules: NetworkRules, resolve: typeof dns.lookup = dns.lookup) {
    this.#allow = blockList('network.allow', rules.allow)
    this.#deny = blockList('network.deny', rules.deny)
    this.#resolve = resolve
  }

  /** Why a host must not be dialled if it is an IP literal, with or without brackets; undefined for all others. */
  refusal(host: string): string | undefined {
    const address = host.replace(/^\[|\]$/g, '').replace(/%.*$/, '')
    const version = isIP(address)
    if (version === 0) return undefined
    const family = version === 4 ? 'ipv4' : 'ipv6'
    if (this.#deny.check(address, family)) return `${address} is denied by network.deny`
    if (this.#allow.check(address, family) || !this.#default.check(address, family)) return undefined
    const rule = version === 4 ? `${address}/32` : `"${address}/128"`
    return `${address} is loopback, link-local, multicast or a metadata service; to permit it: network: { allow: [${rule}] }`
  }

  /** For sockets: resolves a name, and refuses it if any of its addresses must not be dialled. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    this.#resolve(hostname, { ...options, all: true }, (error, addresses) => {
      const [first] = addresses ?? []
      if (error || !first) {
        callback(error ?? new DeliveryError('unavailable', `${hostname} has no address`), [])
        return
      }
      for (const { address } of addresses) {
        const refusal = this.refusal(address)
        if (refusal) {
          callback(new DeliveryError('unavailable', `${hostname} must not be dialled: ${refusal}`), [])
          return
        }
      }
      if (options.all) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
  }
}

function blockList(where: string, rules: readonly string[]): BlockList {
  const list = new BlockList()
  for (const rule of rules) {
    const [address = '', prefix, ...rest] = rule.split('/')
    const version = isIP(address)
    const bits = version === 4 ? 32 : 128
    const length = prefix === undefined ? bits : /^[0-9]{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN
    if (version === 0 || rest.length > 0 || !(length <= bits)) {
      throw new RangeError(
        `${where}: ${JSON.stringify(rule.slice(0, 60))} is no CIDR; write it like 10.0.0.0/8 or ::1/128`,
      )
    }
    list.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6')
  }
  return list
}
