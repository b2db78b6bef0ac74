using LightTunnel.Shell;

// The engine reports which modules are imported unless this is set before its first type is touched; nothing here calls home.
Environment.SetEnvironmentVariable("POWERSHELL_TELEMETRY_OPTOUT", "1");

if (!ShellOptions.TryParse(args, out ShellOptions? options, out string? problem))
{
    Console.Error.WriteLine(problem);
    Console.Error.WriteLine();
    Console.Error.WriteLine(ShellOptions.Usage);
    return 64;
}

if (options.ShowHelp)
{
    Console.WriteLine(ShellOptions.Usage);
    return 0;
}

int exitCode = options.Mode switch
{
    ShellMode.Serve => ServeLoop.Run(options),
    ShellMode.Interactive => InteractiveShell.Run(options),
    _ => ScriptRunner.Run(options),
};

// A module may have left foreground threads behind; the shell's end is the process's end all the same.
Environment.Exit(exitCode);
return exitCode;
