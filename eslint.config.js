// The five rules that need types and that Biome therefore cannot have. Everything else is Biome's.
import { defineConfig } from 'eslint/config';
import { parser, plugin } from 'typescript-eslint';

export default defineConfig([
  { ignores: ['dist/', 'gen/', 'coverage/', '.stowage/', '.cache/', '*.config.js'] },
  {
    files: ['**/*.ts'],
    languageOptions: {
      parser,
      parserOptions: { project: './tsconfig.check.json', tsconfigRootDir: import.meta.dirname },
    },
    plugins: { '@typescript-eslint': plugin },
    rules: {
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/return-await': ['error', 'in-try-catch'],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
    },
  },
]);
