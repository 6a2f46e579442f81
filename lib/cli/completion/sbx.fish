# fish completion of sbx. It knows no command: it asks the sbx that is typed, so it is right for whichever
# is installed.

function __sbx_complete
    set -l begun (commandline -ct)
    set -l words (commandline -opc)
    # An option with its value attached: names of files are looked for behind the equals sign.
    set -l option (string match -r -- '^--[^=]*=' $begun)
    set -l rest (string replace -r -- '^--[^=]*=' '' $begun)
    for line in ($words[1] __complete -- $words[2..] $begun 2>/dev/null)
        switch $line
            case ':files'
                for path in (__fish_complete_path $rest '')
                    echo "$option$path"
                end
            case ':directories'
                for path in (__fish_complete_directories $rest '')
                    echo "$option$path"
                end
            case ':commands'
                __fish_complete_command
            case ':*'
            case '*'
                echo $line
        end
    end
end

complete -c sbx -f -k -a '(__sbx_complete)'
