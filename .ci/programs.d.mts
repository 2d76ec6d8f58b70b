export declare const missingPrograms: () => ReadonlyArray<{ readonly program: string; readonly tests: string }>
