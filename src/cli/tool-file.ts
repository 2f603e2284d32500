import { basename, extname } from 'node:path'
import { parseDocument } from 'yaml'
import type { z } from 'zod'
import { toolViewSchema } from '../api/views.ts'
import { NodeError } from '../base/errors.ts'
import { textOf } from './files.ts'
import type { Session } from './session.ts'

type ToolView = z.output<typeof toolViewSchema>

/**
 * Registers the tools of a file: one, or a list of them, as the predecessor's marketplace keeps them (`tools.json`).
 *
 * @param name of the tool, where the file holds one that does not name itself.
 */
export async function addToolsFrom(session: Session, name: string | undefined, file: string): Promise<void> {
  const read = fromText(await textOf(session, file), file)
  const isList = Array.isArray(read)
  const tools = isList ? read : [read]
  if (tools.length === 0) throw new NodeError('INVALID_INPUT', `${file} holds no tool`, { file })
  if (isList && name !== undefined) {
    throw new NodeError('INVALID_INPUT', `${file} holds a list of tools, which have names of their own`, {
      file,
    })
  }
  const client = await session.connect()
  const added: ToolView[] = []
  for (const tool of tools) {
    const said = typeof tool === 'object' && tool !== null ? tool : {}
    const named = name ?? ('name' in said ? said.name : nameOf(file))
    try {
      added.push(await client.post('/tools', toolViewSchema, { ...said, name: named }))
    } catch (cause) {
      if (added.length === 0 || !(cause instanceof NodeError)) throw cause
      // What was registered before stays: the same file once more puts it where it is.
      const before = added.map((each) => each.name).join(', ')
      const message = `${cause.message} (registered before it: ${before})`
      throw new NodeError(cause.code, message, cause.data, { cause })
    }
  }
  session.out.result(isList ? added : added[0], () => {
    return added.map((tool) => `The tool ${tool.name} runs ${tool.value.image}.`).join('\n')
  })
}

function fromText(text: string, file: string): unknown {
  const document = parseDocument(text)
  const [error] = document.errors
  if (error === undefined) return document.toJS({ maxAliasCount: 100 })
  const reason = error.message.split('\n')[0]
  throw new NodeError('INVALID_INPUT', `${file} is neither JSON nor YAML: ${reason}`, { file })
}

/** `skan.json` names the tool `skan`. */
function nameOf(file: string): string | undefined {
  return file === '-' ? undefined : basename(file, extname(file)).toLowerCase()
}
