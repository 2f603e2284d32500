/**
 * A stand-in for Kubo, whose program no package registry has: a real HTTP server that speaks the part of Kubo's RPC that
 * publishers use, as https://docs.ipfs.tech/reference/kubo/rpc/ and kubo-rpc-client describe it. Content addresses are
 * real: the importer of Helia computes them from the bytes that arrived.
 */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { MemoryBlockstore } from 'blockstore-core'
import { importer } from 'ipfs-unixfs-importer'

export interface IpfsServer {
  readonly url: string
  /** What is pinned. */
  readonly pins: Set<string>
  /** What was added: path in IPFS, such as `<root>/a.csv` → bytes. */
  readonly content: Map<string, Buffer>
  readonly heard: string[]
  /** Of the last upload. */
  parts: { path: string; isDirectory: boolean }[]
  token: string | undefined
  /** Loses the last file of an upload. */
  forgetful: boolean
}

export async function startIpfsServer(t: Pick<TestContext, 'after'>): Promise<IpfsServer> {
  const served: IpfsServer = {
    ...{ url: '', pins: new Set<string>(), content: new Map(), heard: [], parts: [] },
    ...{ token: undefined, forgetful: false },
  }
  const server = createServer(async (asked, answer) => {
    const url = new URL(asked.url ?? '/', 'http://x')
    const command = url.pathname.replace('/api/v0/', '')
    const arg = url.searchParams.get('arg') ?? ''
    served.heard.push(command)
    const body = await buffer(asked)
    const tell = (value: unknown) => {
      answer.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify(value)}\n`)
    }
    // Kubo says 500 of all that it understood and could not do.
    const fail = (Message: string) => {
      const said = { Message, Code: 0, Type: 'error' }
      answer.writeHead(500, { 'content-type': 'application/json' }).end(JSON.stringify(said))
    }
    if (asked.method !== 'POST') return answer.writeHead(405).end('405 - Method Not Allowed')
    if (served.token !== undefined && asked.headers.authorization !== `Bearer ${served.token}`) {
      return answer.writeHead(403).end('403 - Forbidden')
    }
    if (command === 'add') {
      const parts = partsOf(String(asked.headers['content-type']), body)
      served.parts = parts.map(({ path, content }) => ({ path, isDirectory: content === undefined }))
      const files = parts.flatMap(({ path, content }) => (content === undefined ? [] : [{ path, content }]))
      if (served.forgetful) files.pop()
      answer.writeHead(200, { 'content-type': 'application/json' })
      for (const line of await added(files, served, url.searchParams))
        answer.write(`${JSON.stringify(line)}\n`)
      return answer.end()
    }
    if (command === 'cat') {
      const found = served.content.get(arg.replace(/^\/ipfs\//, ''))
      if (found === undefined) return fail(`no link named under ${arg}`)
      return answer.writeHead(200, { 'content-type': 'text/plain' }).end(found)
    }
    if (command === 'pin/add') {
      served.pins.add(arg)
      return tell({ Pins: [arg] })
    }
    const isPinned = served.pins.has(arg)
    if (command === 'pin/ls') {
      if (!isPinned) return fail(`path '${arg}' is not pinned`)
      return tell({ Keys: { [arg]: { Type: 'recursive', Name: '' } } })
    }
    if (command === 'pin/rm') {
      if (!isPinned) return fail('not pinned or pinned indirectly')
      served.pins.delete(arg)
      return tell({ Pins: [arg] })
    }
    answer.writeHead(404).end('404 page not found')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return Object.assign(served, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
}

/** The lines of Kubo's answer: files, then directories, the wrapping one with an empty name last. */
async function added(
  files: { path: string; content: Buffer }[],
  served: IpfsServer,
  query: URLSearchParams,
): Promise<{ Name: string; Hash: string; Size: string }[]> {
  const options = {
    cidVersion: Number(query.get('cid-version')) as 0 | 1,
    rawLeaves: true,
    wrapWithDirectory: true,
  }
  const lines: { Name: string; Hash: string; Size: string }[] = []
  for await (const entry of importer(files, new MemoryBlockstore(), options)) {
    lines.push({ Name: entry.path ?? '', Hash: entry.cid.toString(), Size: String(entry.size) })
  }
  const root = lines.at(-1)?.Hash ?? ''
  for (const { path, content } of files) served.content.set(`${root}/${path}`, content)
  if (query.get('pin') !== 'false') served.pins.add(root)
  return lines
}

/** The parts of a multipart body; a directory has no content. */
function partsOf(contentType: string, body: Buffer): { path: string; content: Buffer | undefined }[] {
  const [, boundary = ''] = /boundary=(.+)$/.exec(contentType) ?? []
  const mark = Buffer.from(`\r\n--${boundary}`)
  const parts: { path: string; content: Buffer | undefined }[] = []
  for (let at = body.indexOf(mark); at >= 0; ) {
    const next = body.indexOf(mark, at + mark.length)
    if (next < 0) break
    const part = body.subarray(at + mark.length + 2, next)
    const gap = part.indexOf('\r\n\r\n')
    const head = part.subarray(0, gap).toString()
    const [, name = ''] = /filename="([^"]*)"/.exec(head) ?? []
    const isDirectory = /application\/x-directory/.test(head)
    parts.push({ path: decodeURIComponent(name), content: isDirectory ? undefined : part.subarray(gap + 4) })
    at = next
  }
  return parts
}
