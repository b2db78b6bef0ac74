using LightTunnel.Services;

namespace LightTunnel.Tests.Services;

/// <summary>Windows' services in memory: what was made of them, and what was done to them, in order.</summary>
internal sealed class FakeServiceControl : IServiceControl
{
    /// <summary>What there is, by name.</summary>
    public Dictionary<string, Service> Services { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>"start lighttunnel-office", and so on.</summary>
    public List<string> Calls { get; } = [];

    /// <summary>Whether the event log knows who writes to it.</summary>
    public bool HasEventSource { get; private set; }

    /// <summary>Happens whenever a service is asked how it stands, before the answer.</summary>
    public Action<Service> Asked { get; set; } = _ => { };

    /// <summary>What a call is answered with instead of being carried out.</summary>
    public Func<string, Exception?> Refusal { get; set; } = _ => null;

    public IReadOnlyList<string> Find(string prefix) =>
        [.. Services.Keys.Where(name => name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))];

    public ServiceEntry? Read(string name) =>
        Services.TryGetValue(name, out Service? service) ? new ServiceEntry(service.CommandLine, IsAutomatic: true) : null;

    public void Write(string name, ServiceSettings settings)
    {
        // As Windows: it is there, and then something of it is refused.
        Services.TryAdd(name, new Service());
        Services[name].CommandLine = settings.CommandLine;
        Do($"write {name}");
        Services[name].DisplayName = settings.DisplayName;
    }

    public void SetCommand(string name, string commandLine)
    {
        Do($"command {name}");
        Services[name].CommandLine = commandLine;
    }

    public void Delete(string name)
    {
        Do($"delete {name}");
        Services.Remove(name);
    }

    public void Start(string name)
    {
        Do($"start {name}");
        Services[name].Now = new ServiceCondition(ControlState.Running, 0, 17);
    }

    public void Stop(string name)
    {
        Do($"stop {name}");
        Services[name].Now = new ServiceCondition(ControlState.StopPending, 0, 17);
    }

    public ServiceCondition Query(string name)
    {
        Asked(Services[name]);
        return Services[name].Now;
    }

    public string? Recall(string name, string key) => Services[name].Notes.GetValueOrDefault(key);

    public void Note(string name, string key, string? value)
    {
        if (value is null)
            Services[name].Notes.Remove(key);
        else
            Services[name].Notes[key] = value;
    }

    public void SetEventSource(bool isThere) => HasEventSource = isThere;

    public string? ProgramOf(int processId) => Services.Values.FirstOrDefault(service => service.Now.ProcessId == processId)?.Program;

    public void WaitForEnd(int processId, TimeSpan limit) => Do($"wait {processId}");

    private void Do(string call)
    {
        Calls.Add(call);
        if (Refusal(call) is { } refusal)
            throw refusal;
    }

    /// <summary>One service.</summary>
    internal sealed class Service
    {
        public string CommandLine { get; set; } = string.Empty;

        public string DisplayName { get; set; } = string.Empty;

        public ServiceCondition Now { get; set; } = new(ControlState.Stopped, ServiceExit.NeverStarted, 0);

        /// <summary>What its process runs.</summary>
        public string? Program { get; set; }

        public Dictionary<string, string> Notes { get; } = [];
    }
}
