import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { NodeError } from '../base/errors.ts'
import { sealedValueBytesMax } from '../base/limits.ts'
import type { Session } from './session.ts'

/**
 * A value that must not be seen: typed where a person is there, without being shown, else all of standard input but a
 * line break at its end. Never an argument, which every user of the machine could read.
 *
 * @throws NodeError CANCELLED, INVALID_INPUT when it is empty, TOO_LARGE
 */
export async function askSecret(session: Session, what: string): Promise<string> {
  const value = session.isAttended ? await typed(session, `${what}: `) : await read(session.terminal.stdin)
  if (value === '')
    throw new NodeError('INVALID_INPUT', `${what} is empty; type it, or send it to standard input`)
  return value
}

function typed({ terminal: { stdin, stderr } }: Session, question: string): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: stdin, output: silent, terminal: true })
  stderr.write(question)
  return new Promise((resolve, reject) => {
    lines.once('SIGINT', () => lines.close())
    lines.once('line', (line) => {
      resolve(line)
      lines.close()
    })
    lines.once('close', () => {
      stderr.write('\n')
      reject(new NodeError('CANCELLED', 'Nothing was changed'))
    })
  })
}

async function read(stdin: AsyncIterable<unknown>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stdin) {
    const piece = Buffer.from(chunk as string | Uint8Array)
    bytes += piece.length
    if (bytes > sealedValueBytesMax) {
      throw new NodeError('TOO_LARGE', `A secret has at most ${sealedValueBytesMax} bytes`)
    }
    chunks.push(piece)
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}
