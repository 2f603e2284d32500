/** How soon a node that was just started is found by another on its LAN, by mDNS alone, between network namespaces. */
import { eventually } from '../support/eventually.ts'
import { World } from '../support/namespaces/world.ts'
import type { Workplace } from './harness.ts'

const FOUND_TIMEOUT_MS = 30_000

export interface LanDiscovery {
  /** From the start of the process until another node has a connection to it, ms, one each repetition. */
  readonly connectedMs: number[]
  /** Of that, until the node itself said that it is ready, ms. */
  readonly readyMs: number[]
}

/** Starts a node that nobody has met before on one and the same LAN, time after time. */
export async function lanDiscovery(work: Workplace, repetitions: number): Promise<LanDiscovery> {
  const world = await World.open(work.test)
  const lan = await world.lan('10.9.0')
  const waiting = world.node('waiting', await world.host(lan))
  const guests = await world.host(lan)
  await waiting.start()
  const [connectedMs, readyMs]: [number[], number[]] = [[], []]
  for (let n = 0; n < repetitions; n += 1) {
    const guest = world.node(`guest-${n}`, guests)
    const beginMs = performance.now()
    const started = guest.start().then(() => readyMs.push(performance.now() - beginMs))
    // A start that fails is told below, by whichever is first.
    started.catch(() => undefined)
    const found = async () => (await waiting.connectedPeers()) === 1
    await eventually(found, `the node that was started ${n + 1}. was never found`, FOUND_TIMEOUT_MS)
    connectedMs.push(performance.now() - beginMs)
    await started
    await guest.stop()
    const gone = async () => (await waiting.connectedPeers()) === 0
    await eventually(gone, 'the node that was stopped is still connected', FOUND_TIMEOUT_MS)
  }
  return { connectedMs, readyMs }
}
