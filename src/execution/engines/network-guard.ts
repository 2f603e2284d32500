/**
 * The network of bridged steps: one per node, in which containers do not see each other, and behind which they reach
 * neither this machine nor its neighbours nor the metadata service of a cloud. The rules are looked at before each
 * start and again and again while the node runs, since a firewall that is loaded anew forgets them. Who cannot set
 * them (another machine, no root) refuses such steps, unless the operator vouches for the rules.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { messageOf, NodeError } from '../../base/errors.ts'
import {
  engineCallTimeoutMs,
  firewallLockSeconds,
  firewallTimeoutMs,
  guardWaitingMax,
  nameserversMax,
} from '../../base/limits.ts'
import { SerialQueue } from '../../base/serial-queue.ts'
import type { DockerConnection } from './docker-connection.ts'
import { isStatus } from './docker-errors.ts'
import { NODE_LABEL } from './engine.ts'
import type { GuardState } from './engine-facts.ts'
import {
  type Guard,
  guardCommands,
  hasDockerChain,
  isGuarded,
  nameserversIn,
  removalText,
  restoreText,
} from './guard-rules.ts'
import type { DockerSettings } from './settings.ts'

export interface NetworkGuardParts {
  readonly connection: DockerConnection
  /** Name of the engine in the settings. */
  readonly engine: string
  /** This node's peer id. */
  readonly peer: string
  readonly bridge: DockerSettings['bridge']
  /** Whether the engine's address is on this machine. */
  readonly isLocal: boolean
  readonly isVouched: boolean
}

/** Where systemd-resolved writes the servers that stand behind its own on loopback. */
const RESOLVER_FILES = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf']
const NAME_HEX = 8

export class NetworkGuard {
  /** Name of the network on the engine. */
  readonly network: string
  readonly #parts: NetworkGuardParts
  readonly #bridge: string
  readonly #id: string
  readonly #serial = new SerialQueue(guardWaitingMax)
  #isSet = false

  constructor(parts: NetworkGuardParts) {
    this.#parts = parts
    this.#id = createHash('sha256').update(`${parts.engine}\0${parts.peer}`).digest('hex').slice(0, NAME_HEX)
    this.network = `mao-${this.#id}`
    this.#bridge = `mao${this.#id}`
  }

  /**
   * Makes the network and sets its rules, or sees that both stand as they must.
   *
   * @returns what the container is given: the network's name, and the servers that it asks for names.
   * @throws NodeError FORBIDDEN with what to do where the rules cannot be set or seen, ENGINE_UNAVAILABLE.
   */
  ensure(): Promise<{ network: string; nameservers: readonly string[] }> {
    return this.#serial.run(async () => {
      const guard = await this.#guard()
      const { isVouched } = this.#parts
      const why = isVouched ? undefined : await this.#whyNot()
      if (why !== undefined) throw this.#refusal(why, guard)
      await this.#ensureNetwork()
      if (!isVouched) await this.#ensureRules(guard)
      return { network: this.network, nameservers: guard.nameservers }
    })
  }

  /** Sets anew what was set once and has been taken away; nothing where nothing has been set. */
  async keep(): Promise<void> {
    if (this.#isSet) await this.ensure()
  }

  /** What `ensure` would come to, without changing anything. */
  async state(): Promise<GuardState> {
    if (this.#parts.isVouched) return { bridge: 'vouched' }
    const guard = await this.#guard()
    const why = await this.#whyNot()
    if (why !== undefined) return { bridge: 'refused', why, commands: guardCommands(guard) }
    return { bridge: this.#isSet ? 'guarded' : 'ready' }
  }

  /** Takes network and rules away; the rules stay as long as a container may still be on the network. */
  remove(): Promise<void> {
    return this.#serial.run(async () => {
      if (!this.#isSet && (await this.#whyNot()) !== undefined) return
      const guard = await this.#guard()
      // Also what an earlier life of this node left behind.
      if (removalText(await listing(), guard) === undefined) return
      await this.#removeNetwork()
      const removal = removalText(await listing(), guard)
      if (removal !== undefined) await iptables('iptables-restore', ['--noflush'], removal)
      this.#isSet = false
    })
  }

  async #guard(): Promise<Guard> {
    const { barredRanges, nameservers } = this.#parts.bridge
    const asked = nameservers.length > 0 ? nameservers : await machineNameservers()
    return { id: this.#id, bridge: this.#bridge, barredRanges, nameservers: asked }
  }

  async #whyNot(): Promise<string | undefined> {
    if (!this.#parts.isLocal) return 'it runs on another machine'
    if (process.getuid?.() !== 0) return 'this node does not run as root and so cannot set rules'
    try {
      if (hasDockerChain(await listing())) return undefined
      return 'the packet filter has no chain DOCKER-USER (Docker runs without iptables, or elsewhere)'
    } catch (error) {
      return `the packet filter does not answer: ${messageOf(error)}`
    }
  }

  async #ensureNetwork(): Promise<void> {
    const { connection, peer } = this.#parts
    const options = {
      'com.docker.network.bridge.name': this.#bridge,
      'com.docker.network.bridge.enable_icc': 'false',
    }
    try {
      const found = await connection.call('looking for a network', engineCallTimeoutMs, (docker) =>
        docker.getNetwork(this.network).inspect(),
      )
      const isOurs =
        found.EnableIPv6 !== true &&
        Object.entries(options).every(([option, value]) => found.Options?.[option] === value)
      if (isOurs) return
      const message = `The network ${this.network} on the engine ${this.#parts.engine} is not as this node makes it; remove it (docker network rm ${this.network})`
      throw new NodeError('FORBIDDEN', message, { network: this.network })
    } catch (error) {
      if (!isStatus(error, 404)) throw error
    }
    await connection.call('making a network', engineCallTimeoutMs, (docker) =>
      docker.createNetwork({
        Name: this.network,
        Driver: 'bridge',
        CheckDuplicate: true,
        EnableIPv6: false,
        Labels: { [NODE_LABEL]: peer },
        Options: options,
      }),
    )
  }

  async #ensureRules(guard: Guard): Promise<void> {
    // An engine behind a local socket may still have its networks elsewhere: in a virtual machine, or rootless.
    if (!(await isThere(`/sys/class/net/${guard.bridge}`))) {
      throw this.#refusal(`its networks are not on this machine (no interface ${guard.bridge})`, guard)
    }
    const before = await listing()
    if (!isGuarded(before, guard)) {
      this.#isSet = true
      await iptables('iptables-restore', ['--noflush'], restoreText(before, guard))
      if (!isGuarded(await listing(), guard)) {
        throw this.#refusal('its rules were set and did not stand: another program changes them', guard)
      }
    }
    this.#isSet = true
  }

  async #removeNetwork(): Promise<void> {
    try {
      await this.#parts.connection.call('removing a network', engineCallTimeoutMs, (docker) =>
        docker.getNetwork(this.network).remove(),
      )
    } catch (error) {
      if (!isStatus(error, 404)) throw error
    }
  }

  #refusal(why: string, guard: Guard): NodeError {
    const { engine } = this.#parts
    const message = `On the engine ${engine}, neighbours of a step with the network bridge cannot be kept out of its reach: ${why}. Run the step without a network; or set the rules there as root (maoctl engine guard ${engine} shows them) and then docker.engines.${engine}.networkGuarded: true`
    return new NodeError('FORBIDDEN', message, { engine, commands: guardCommands(guard) })
  }
}

async function machineNameservers(): Promise<string[]> {
  for (const path of RESOLVER_FILES) {
    const found = nameserversIn(await readFile(path, 'utf8').catch(() => ''))
    if (found.length > 0) return found.slice(0, nameserversMax)
  }
  return []
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

async function listing(): Promise<string[]> {
  return (await iptables('iptables', ['-S'])).split('\n')
}

/** @throws NodeError FORBIDDEN with what the program said. */
async function iptables(program: string, words: readonly string[], input = ''): Promise<string> {
  const signal = AbortSignal.timeout(firewallTimeoutMs)
  const child = spawn(program, ['-w', String(firewallLockSeconds), ...words], { signal })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  // What it did not read, it says so itself.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  try {
    const [out, said, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
    if (code === 0) return out
    throw new Error(said.trim() || `it ended with ${code}`)
  } catch (cause) {
    throw new NodeError('FORBIDDEN', `${program} failed: ${messageOf(cause)}`, { program }, { cause })
  }
}
