using System.CommandLine;
using System.Runtime.InteropServices;
using LightTunnel.Lab;
using LightTunnel.Lab.Bench;
using LightTunnel.Lab.Demo;
using LightTunnel.Lab.Matrix;

using var stop = new CancellationTokenSource();

var demo = new Command("demo", "Shows a working network: a server and two clients on an internet of their own.");
demo.SetAction((_, token) => Tour.RunAsync(Console.Out, token));

var nodeArgument = new Argument<string>("node") { Description = "server, alice or bob", DefaultValueFactory = _ => "alice" };
nodeArgument.AcceptOnlyFromAmong("server", "alice", "bob");
var bareOption = new Option<bool>("--bare") { Description = "Leaves starting and joining the network to you." };
var shell = new Command("shell", "Leaves you at the PowerShell prompt of one of three machines, joined into a network.")
{
    nodeArgument,
    bareOption,
};
shell.SetAction((result, token) =>
    PromptOnNode.RunAsync(result.GetRequiredValue(nodeArgument), result.GetValue(bareOption), Console.Out, token));

var roundsOption = new Option<int>("--rounds") { Description = "How often everything is measured", DefaultValueFactory = _ => 3 };
var secondsOption = new Option<int>("--seconds") { Description = "How long each measurement runs", DefaultValueFactory = _ => 5 };
var wireGuardOption = new Option<string>("--wireguard-go")
{
    Description = "The program to compare with",
    DefaultValueFactory = _ => "wireguard-go",
};
var onlyOption = new Option<string[]>("--only")
{
    Description = "A part of the names of the rows that are wanted; may be given several times",
};
var variantOption = new Option<string[]>("--variant")
{
    Description = "Measures LightTunnel with other settings too, in rows of their own: \"name=arguments of Start-LtServer and "
        + "Connect-LtNetwork\"",
    DefaultValueFactory = _ => ["WireGuard suite=-Cipher WireGuard"],
};
var outputOption = new Option<string?>("--output") { Description = "Also writes the figures into this document, between its two markers" };
var bench = new Command("bench", "Measures a network beside wireguard-go on the same machine and prints a table.")
{
    roundsOption, secondsOption, wireGuardOption, onlyOption, variantOption, outputOption,
};
bench.SetAction((result, token) => Benchmark.RunAsync(
    new BenchmarkOptions(result.GetValue(roundsOption), result.GetValue(secondsOption), result.GetRequiredValue(wireGuardOption))
    {
        Only = result.GetValue(onlyOption) ?? [],
        Variants = [.. (result.GetValue(variantOption) ?? []).Select(Variant.Parse)],
        Output = result.GetValue(outputOption),
    },
    Console.Out,
    token));

var countOption = new Option<int>("--count") { Description = "How many rules", DefaultValueFactory = _ => 100 };
var rules = new Command("rules", "Measures what access rules cost: the same network with and without them, in turns.")
{
    countOption, roundsOption, secondsOption, onlyOption,
};
rules.SetAction((result, token) => RuleCost.RunAsync(
    result.GetValue(countOption), result.GetValue(roundsOption), result.GetValue(secondsOption), result.GetValue(onlyOption) ?? [],
    Console.Out, token));

var subnets = new Command("subnets", "Measures streams to a host behind a node beside streams to the node itself, in turns.")
{
    roundsOption, secondsOption,
};
subnets.SetAction((result, token) =>
    SubnetCost.RunAsync(result.GetValue(roundsOption), result.GetValue(secondsOption), Console.Out, token));

var peersOption = new Option<int>("--peers")
{
    Description = "How many other members there are, at most 120",
    DefaultValueFactory = _ => 100,
};
var idleSecondsOption = new Option<int>("--seconds")
{
    Description = "How long is measured, after some two minutes until all is at rest",
    DefaultValueFactory = _ => 60,
};
var idle = new Command("idle", "Measures what a tunnel costs that nobody uses.") { peersOption, idleSecondsOption };
idle.SetAction((result, token) =>
    IdleCost.RunAsync(result.GetValue(peersOption), TimeSpan.FromSeconds(result.GetValue(idleSecondsOption)), Console.Out, token));

var membersOption = new Option<int>("--members") { Description = "How many members the server has", DefaultValueFactory = _ => 5 };
var startsOption = new Option<int>("--starts") { Description = "How often a member is started", DefaultValueFactory = _ => 7 };
var programOption = new Option<string?>("--program")
{
    Description = "The program; when left out, the staged module's for this system",
};
var host = new Command("host", "Measures what the program of services costs: memory, and the time of a start.")
{
    membersOption, startsOption, programOption,
};
host.SetAction((result, token) => HostCost.RunAsync(
    result.GetValue(membersOption), result.GetValue(startsOption), result.GetValue(programOption), Console.Out, token));

var block = new Command("block", "Measures how long a member is heard that an admin blocks, which talks with all others.")
{
    membersOption, programOption,
};
block.SetAction((result, token) => BlockSilence.RunAsync(
    result.GetValue(membersOption), result.GetValue(programOption), Console.Out, token));

var matrixRoundsOption = new Option<int>("--rounds") { Description = "How often each pair is measured", DefaultValueFactory = _ => 1 };
var matrixTimeoutOption = new Option<int>("--timeout")
{
    Description = "Seconds after which a pair counts as relayed",
    DefaultValueFactory = _ => 20,
};
var matrix = new Command("matrix", "Measures for every kind of NAT against every other how long two members take to be direct.")
{
    matrixRoundsOption,
    matrixTimeoutOption,
};
matrix.SetAction((result, token) => NatMatrix.RunAsync(
    new MatrixOptions(result.GetValue(matrixRoundsOption), TimeSpan.FromSeconds(result.GetValue(matrixTimeoutOption))),
    Console.Out, token));

var installOption = new Option<bool>("--install") { Description = "Installs what is missing by apt-get; needs root on Debian." };
var check = new Command("check", "Says what the laboratory needs of this machine and what of that is missing.") { installOption };
check.SetAction(result => CheckReport.Run(result.GetValue(installOption), Console.Out));

var root = new RootCommand("The laboratory of LightTunnel: network namespaces as machines, one process as the internet between them.")
{
    demo, shell, bench, rules, subnets, idle, host, block, matrix, check,
};

// Ctrl+C and SIGTERM end what runs, and everything that was set up is taken down before the process ends.
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
try
{
    return await root.Parse(args)
        .InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null, EnableDefaultExceptionHandler = false }, stop.Token)
        .ConfigureAwait(false);
}
catch (Exception) when (stop.IsCancellationRequested)
{
    // Ctrl+C ends the programs that run in the laboratory as well, and what misses them fails in its own way.
    Console.Error.WriteLine("Stopped.");
    return 130;
}
catch (LabException exception)
{
    Console.Error.WriteLine(exception.Message);
    Console.Error.WriteLine(exception.RecommendedAction);
    return 1;
}

void Stop(PosixSignalContext context)
{
    context.Cancel = true;
    // At a prompt Ctrl+C is the prompt's.
    if (context.Signal != PosixSignal.SIGINT || !PromptOnNode.IsOpen)
        stop.Cancel();
}
