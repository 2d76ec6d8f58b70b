/** What Tab completes in `chat`: commands, and models after `/model`. */

/** The lines that can follow from what is typed. */
export type Complete = (line: string) => ReadonlyArray<string>

export const make =
  (commands: ReadonlyArray<string>, models: ReadonlyArray<string>): Complete =>
  (line) => {
    const start = line.toLowerCase()
    const lines = /^\/model\s/i.test(line)
      ? models.map((model) => `/model ${model}`)
      : line.startsWith("/")
        ? commands.map((command) => `/${command}`)
        : []
    const spaced = start.replace(/\s+/g, " ")
    return lines.filter((one) => one.toLowerCase().startsWith(spaced))
  }
