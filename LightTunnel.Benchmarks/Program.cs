using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

// In this process: another one would have to be generated and built, without the repository's build settings.
// As a mutator, so that it also holds for the job that "--job short" asks for.
IConfig config = DefaultConfig.Instance
    .AddJob(Job.Default.WithToolchain(InProcessEmitToolchain.Instance).AsMutator())
    .AddDiagnoser(MemoryDiagnoser.Default)
    .WithOptions(ConfigOptions.JoinSummary)
    .HideColumns("Namespace", "StdDev");
BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args, config);
