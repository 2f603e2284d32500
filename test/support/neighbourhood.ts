import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'

const run = promisify(execFile)

/** What a machine has around it, all of it on this machine: a host with four addresses in a namespace of its own. */
export interface Neighbourhood {
  /** Addresses and ports of web servers by who answers `reached`: the world, a host of the local network, a metadata service, this machine. */
  readonly pages: Readonly<Record<'world' | 'lan' | 'lan10' | 'metadata' | 'machine' | 'machineLan', string>>
  remove(): Promise<void>
}

/** Addresses that look public and have no way out of this machine stand for the world. */
const NETS = { world: '11.11.11', lan: '192.168.177', lan10: '10.177.7', metadata: '169.254.77' }
const PORT = 8080

export async function neighbourhood(): Promise<Neighbourhood> {
  const name = `mao-n-${process.pid}`
  const [here, there] = [`mh${process.pid}`, `mt${process.pid}`]
  const directory = await mkdtemp(join(tmpdir(), 'mao-neighbours-'))
  const machinePort = await freePort()
  const machine = createServer((_, answer) => answer.end('reached\n'))
  const undo: (() => Promise<unknown> | unknown)[] = []
  const remove = async () => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step()
  }
  try {
    undo.push(() => rm(directory, { recursive: true, force: true }))
    await writeFile(join(directory, 'index.html'), 'reached\n')
    await run('ip', ['netns', 'add', name])
    undo.push(() => run('ip', ['netns', 'del', name]))
    await run('ip', ['link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', name])
    undo.push(() => run('ip', ['link', 'del', here]))
    for (const net of Object.values(NETS)) {
      await run('ip', ['addr', 'add', `${net}.1/24`, 'dev', here])
      await run('ip', ['-n', name, 'addr', 'add', `${net}.254/24`, 'dev', there])
    }
    await run('ip', ['link', 'set', here, 'up'])
    await run('ip', ['-n', name, 'link', 'set', there, 'up'])
    const words = ['netns', 'exec', name, 'busybox', 'httpd', '-f', '-p', String(PORT), '-h', directory]
    const server = spawn('ip', words, { stdio: 'ignore' })
    undo.push(() => server.kill('SIGKILL'))
    await new Promise<void>((resolve) => machine.listen(machinePort, '0.0.0.0', resolve))
    undo.push(() => new Promise((resolve) => machine.close(resolve)))
    const page = (net: string) => `${net}.254 ${PORT}`
    const pages = {
      world: page(NETS.world),
      lan: page(NETS.lan),
      lan10: page(NETS.lan10),
      metadata: page(NETS.metadata),
      machine: `${NETS.world}.1 ${machinePort}`,
      machineLan: `${NETS.lan}.1 ${machinePort}`,
    }
    return { pages, remove }
  } catch (error) {
    await remove()
    throw error
  }
}
