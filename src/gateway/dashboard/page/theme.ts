/** Light, dark, or as the machine has it. */

const name = "effect-llm-theme"

export const mount = (group: HTMLFieldSetElement, changed: () => void): void => {
  const apply = (theme: string): void => {
    document.documentElement.dataset["theme"] = theme
    changed()
  }
  const storedTheme = localStorage.getItem(name) ?? "auto"
  for (const radio of group.querySelectorAll("input")) radio.checked = radio.value === storedTheme
  apply(storedTheme)
  group.addEventListener("change", ({ target }) => {
    if (!(target instanceof HTMLInputElement)) return
    localStorage.setItem(name, target.value)
    apply(target.value)
  })
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed)
}
