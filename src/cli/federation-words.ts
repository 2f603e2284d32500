/** `an operator`, `a member`. */
export function article(role: string): string {
  return /^[aeiou]/.test(role) ? 'an' : 'a'
}
