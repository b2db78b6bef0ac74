using System.CommandLine;
using LightTunnel.Host;

var configuration = new Option<string>("--configuration")
{
    Description = "The YAML file that says which tunnel to run, as Start-LtServer and Connect-LtNetwork take it",
    Required = true,
};
var update = new Command("update", "Installs the newest version that the module's folder has, as services do before they start.");
update.SetAction(_ => (int)HostUpdate.Run(ServiceLog.OfThisProcess("update")));

var run = new RootCommand("Runs one LightTunnel tunnel, for a service or a container. Ends in order on SIGTERM and Ctrl+C.")
{
    configuration, update,
};
run.SetAction(async (result, _) => (int)await ServiceProcess.RunAsync(result.GetRequiredValue(configuration)).ConfigureAwait(false));

// Signals are the service's, which takes the tunnel down; not the command line's.
return await run.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null }).ConfigureAwait(false);
