/** What whoever installs a node has decided, however it was asked; and the settings that follow from it. Pure. */
import { isIP } from 'node:net'
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import type { ConfigInput } from '../../config.ts'

/** How the node comes to a federation. */
export type Way =
  /** A federation of its own on this machine, which nobody else is to reach. */
  | { readonly kind: 'alone' }
  | {
      readonly kind: 'create'
      readonly name: string
      readonly description: string
      readonly contacts: readonly string[]
      /** Strangers see nothing of it. */
      readonly isPrivate: boolean
    }
  | { readonly kind: 'join'; readonly token: string }
  | {
      readonly kind: 'request'
      /** Its id, or its name where it is to be looked for on the marketplace; empty: it is chosen there. */
      readonly federation: string
      readonly addresses: readonly string[]
      readonly message: string
      readonly contact: string
    }
  /** The node is set up, and comes to a federation another time, or is in one already. */
  | { readonly kind: 'later' }

export type Runner = 'user-service' | 'system-service' | 'compose' | 'hand'

export interface Answers {
  readonly data: string
  readonly name: string
  readonly way: Way
  readonly runner: Runner
  /** Loopback where only this machine is to reach the node. */
  readonly listenHost: string
  /** TCP port that peers dial. */
  readonly listenPort: number
  /** Where peers elsewhere reach that port, as a multiaddr; undefined where nothing is known. */
  readonly announce: string | undefined
  readonly bootstrap: readonly string[]
  readonly apiPort: number
  readonly etcdPort: number
  /** Who stands in the node's commits. */
  readonly author: { readonly name: string; readonly email: string }
  readonly sshKey: boolean
}

export const LISTEN_PORT_DEFAULT = 4001
export const API_PORT_DEFAULT = 8080
export const ETCD_PORT_DEFAULT = 2379
export const LOOPBACK = '127.0.0.1'
export const EVERYWHERE = '0.0.0.0'

/** `~/mao` as a shell would read it. */
export function pathFrom(text: string): string {
  return resolve(text.replace(/^~(?=\/|$)/, homedir()))
}

/**
 * What a person calls reachable as the address that peers dial: an IP address, a host name, either with `:port`, or a
 * whole multiaddr.
 *
 * @returns undefined when it is none of these.
 */
export function multiaddrFrom(text: string, port: number): string | undefined {
  if (/^\/(?:ip4|ip6|dns|dns4|dns6|dnsaddr)\/[^\s,]+$/.test(text)) return text
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text)
  const plain = /^([^:\s]+)(?::(\d{1,5}))?$/.exec(text)
  const [, host = '', said] = isIP(text) === 6 ? [text, text] : (bracketed ?? plain ?? [])
  const at = said === undefined ? port : Number(said)
  if (!(at >= 1 && at <= 65_535)) return undefined
  const kind = isIP(host)
  if (kind !== 0) return `/ip${kind}/${host}/tcp/${at}`
  // Digits and dots alone are a slip of an IP address and no name.
  const isHost = /^(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*$/i.test(host) && !/^[\d.]+$/.test(host)
  return isHost ? `/dns4/${host.toLowerCase()}/tcp/${at}` : undefined
}

/** The settings that the answers come to. */
export function settingsOf(answers: Answers): ConfigInput {
  const { name, listenHost, listenPort, announce, bootstrap, apiPort, etcdPort, author } = answers
  const isAlone = listenHost === LOOPBACK
  const named = Object.entries(author).filter(([, text]) => text !== '')
  return {
    name,
    listen: [`/ip4/${listenHost}/tcp/${listenPort}`],
    announce: announce === undefined || isAlone ? [] : [announce],
    bootstrap: [...bootstrap],
    mdns: !isAlone,
    api: { port: apiPort },
    etcd: { port: etcdPort },
    ...(named.length === 0 ? {} : { datasets: { author: Object.fromEntries(named) } }),
  }
}
