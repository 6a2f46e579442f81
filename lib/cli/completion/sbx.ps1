# PowerShell completion of sbx. It knows no command: it asks the sbx that is typed, so it is right for
# whichever is installed.

Register-ArgumentCompleter -Native -CommandName sbx -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements |
      Where-Object { $_.Extent.EndOffset -lt $cursorPosition -or $_.Extent.EndOffset -eq $cursorPosition -and $wordToComplete -eq '' } |
      ForEach-Object { $_.ToString() })
  foreach ($line in (& $words[0] __complete -- @($words | Select-Object -Skip 1) $wordToComplete 2>$null)) {
    if ($line.StartsWith(':')) {
      if ($line -in ':files', ':directories') {
        [System.Management.Automation.CompletionCompleters]::CompleteFilename($wordToComplete)
      }
      continue
    }
    $word, $meaning = $line -split "`t", 2
    if (-not $meaning) { $meaning = $word }
    $text = if ($word -match '^[\w./=@-]+$') { $word } else { "'" + $word.Replace("'", "''") + "'" }
    [System.Management.Automation.CompletionResult]::new($text, $word, 'ParameterValue', $meaning)
  }
}
