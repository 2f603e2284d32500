/**
 * JSON as Python's `json.dumps` writes it: a blank after commas and colons, ASCII alone. The predecessor wrote every
 * answer so, and the strings within answers as well; whoever compares texts, or cuts them apart with a shell, finds the
 * bytes that were always there.
 *
 * @param value what JSON can say; fields that are undefined are left out.
 */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => pythonJson(item ?? null)).join(', ')}]`
  if (typeof value !== 'object' || value === null) return ascii(JSON.stringify(value ?? null))
  const fields = Object.entries(value).filter(([, field]) => field !== undefined)
  return `{${fields.map(([key, field]) => `${ascii(JSON.stringify(key))}: ${pythonJson(field)}`).join(', ')}}`
}

/** Per UTF-16 unit, as Python does it: a character beyond the basic plane becomes two. */
function ascii(text: string): string {
  return text.replace(/[\u007f-\uffff]/g, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
